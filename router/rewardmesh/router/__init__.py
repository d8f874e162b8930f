"""The front door: gRPC server, classification, dispatch, metrics, command line."""
