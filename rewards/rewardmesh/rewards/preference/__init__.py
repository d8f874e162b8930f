"""Learned human preference: a Bradley-Terry reward model and its frozen calibration to [0, 1]."""
