"""genret: a workbench for the scaling laws of generative retrieval."""
