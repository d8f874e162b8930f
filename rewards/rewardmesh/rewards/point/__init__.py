"""Points on what the prompt asks for: GUI elements above all."""
