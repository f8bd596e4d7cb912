"""A small model of Gemma 4's architecture: its PyTorch twin, data, training, export to GGUF and scoring through llama.cpp."""
