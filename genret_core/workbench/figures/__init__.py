"""Figures: data frames in, plotly figures out."""
