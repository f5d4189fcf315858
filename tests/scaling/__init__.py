"""Tests of the laws and their fits."""
