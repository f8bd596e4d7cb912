"""A small model of Gemma 4's architecture: twin, data, training, export to GGUF, and scoring through llama.cpp."""
