"""How the explorer looks: one sheet of styles, kept to the explorer, and the colours that its HTML uses."""

from __future__ import annotations

from html import escape

from genret_core.workbench.figures import style
from genret_core.workbench.report.sentences import indices_low

INK, SOFT, FAINT, LINE, RAISED = "#1f2429", "#5c6670", "#8a939c", "#dfe3e8", "#f6f7f9"
ROOT = "genret-explorer"

# The tones of the verdicts: a sign and a word beside the colour, so that none hangs on colour alone.
TONES = {
    "good": ("✓", "#00795a", "#e6f5ef"),
    "note": ("i", "#5c6670", "#f1f3f5"),
    "warn": ("▲", "#7a5000", "#fdf4e1"),
    "bad": ("✕", "#b3261e", "#fdeeec"),
}

CSS = f"""
.{ROOT} {{
  --jp-layout-color0: #fff; --jp-layout-color1: #fff; --jp-layout-color2: {RAISED};
  --jp-widgets-color: {INK}; --jp-widgets-label-color: {INK}; --jp-widgets-input-color: {INK};
  --jp-widgets-readout-color: {INK}; --jp-ui-font-color1: {INK}; --jp-widgets-font-size: 13px;
  --jp-widgets-input-background-color: #fff; --jp-widgets-input-border-color: #c9d0d7;
  --jp-widgets-border-color: #c9d0d7; --jp-border-color1: #c9d0d7; --jp-border-color2: {LINE};
  --jp-widgets-inline-height: 28px; --jp-widgets-margin: 2px; --jp-widgets-input-focus-border-color: #0072b2;
  --jp-brand-color1: #0072b2; --jp-brand-color2: #0072b2; --jp-widgets-slider-active-handle-color: #0072b2;
  --jp-widgets-inline-label-width: 84px; --jp-widgets-inline-width-short: 120px;
  background: #fff; color: {INK}; font: 13px/1.4 {style.FONT}; box-sizing: border-box;
  border: 1px solid {LINE}; border-radius: 8px; padding: 9px 14px 10px; overflow: hidden; color-scheme: light;
}}
.{ROOT} .jupyter-widgets {{ font-family: {style.FONT}; }}
.{ROOT} .widget-html, .{ROOT} .widget-html-content {{ line-height: 1.4; color: {INK}; min-width: 0;
  box-sizing: border-box; }}
.{ROOT} .widget-html-content {{ flex: 1 1 auto; }}
.{ROOT} .widget-label {{ font-size: 12.5px; color: {SOFT}; }}
.{ROOT} .widget-inline-hbox .widget-label {{ text-align: left; }}
.{ROOT} select, .{ROOT} input[type=text], .{ROOT} input[type=number], .{ROOT} textarea {{
  font-size: 12.5px !important; border-radius: 5px; }}
.{ROOT} .jupyter-button {{ border-radius: 5px; font-size: 12.5px; line-height: 24px; height: 26px;
  background: #fff; color: {INK}; border: 1px solid #c9d0d7; box-shadow: none; padding: 0 9px; }}
.{ROOT} .jupyter-button:hover:enabled {{ background: {RAISED}; border-color: {FAINT}; box-shadow: none; }}
.{ROOT} .jupyter-button:disabled {{ opacity: .42; }}
.{ROOT} .widget-toggle-buttons {{ display: flex; flex-flow: row nowrap; align-items: center;
  overflow: visible; }}
.{ROOT} .widget-toggle-buttons > div {{ display: flex; flex-flow: row nowrap; }}
.{ROOT} .widget-toggle-buttons > .widget-label {{ width: auto; margin-right: 7px; flex: 0 0 auto; }}
.{ROOT} .widget-toggle-buttons .jupyter-button {{ margin: 0 0 0 -1px; border-radius: 0; }}
.{ROOT} .widget-toggle-buttons .jupyter-button:first-child {{ border-radius: 5px 0 0 5px; margin-left: 0; }}
.{ROOT} .widget-toggle-buttons .jupyter-button:last-child {{ border-radius: 0 5px 5px 0; }}
.{ROOT} .jupyter-button.mod-active {{ background: #eef6fb; color: #005a8f; border-color: #7fb4d6;
  font-weight: 600; z-index: 1; box-shadow: none; }}
.{ROOT} :focus-visible {{ outline: 2px solid #0072b2; outline-offset: 1px; }}
.{ROOT} .gx-tabs .jupyter-button {{ border: 0; border-radius: 0 !important; background: none; height: 30px;
  padding: 0 7px; color: {SOFT}; border-bottom: 2px solid transparent;
  margin: 0 !important; flex: 0 0 auto; }}
.{ROOT} .gx-tabs .jupyter-button.mod-active {{ color: #005a8f; border-bottom-color: #0072b2;
  background: none; font-weight: 600; }}
.{ROOT} .gx-tabs .jupyter-button:focus-visible {{ outline: none; background: #e3eff8; }}
.{ROOT} .js-plotly-plot {{ width: 100%; max-width: 100%; }}
.{ROOT} .gx-tabs .jupyter-button:focus:enabled {{ border-width: 0 0 2px !important;
  box-shadow: none; }}
.{ROOT} .gx-whole > *, .{ROOT} .gx-whole .widget-vbox > * {{ flex-shrink: 0; }}
.{ROOT} .gx-whole .widget-hbox {{ overflow: visible; }}
.{ROOT} .gx-whole .widget-html {{ margin: 0; }}
.{ROOT} .gx-tabs {{ overflow-x: auto; border-bottom: 1px solid {LINE}; }}
.{ROOT} .gx-tabs {{ flex-wrap: nowrap; }}
.{ROOT} .widget-checkbox .widget-label-basic {{ color: {INK}; padding-left: 0; }}
.{ROOT} .widget-checkbox .widget-label {{ width: auto; }}
.{ROOT} .widget-checkbox label {{ display: flex; align-items: center; gap: 6px; margin: 0; }}
.{ROOT} .widget-checkbox input {{ margin: 0; accent-color: #0072b2; }}
.{ROOT} .widget-readout {{ font-variant-numeric: tabular-nums; color: {INK}; min-width: 44px;
  font-size: 12.5px; }}
.{ROOT} .noUi-connect {{ background: #0072b2; }}
.{ROOT} .noUi-connects {{ background: {LINE}; }}
.{ROOT} .gx-title {{ font-size: 17px; font-weight: 650; letter-spacing: -.01em; }}
.{ROOT} .gx-answer {{ color: {SOFT}; font-size: 13px; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }}
.{ROOT} .gx-strip {{ display: flex; flex-wrap: wrap; gap: 5px; max-height: 56px; overflow: hidden;
  align-items: center; }}
.{ROOT} .gx-word {{ display: inline-flex; gap: 5px; align-items: center; padding: 1px 9px 1px 7px;
  border-radius: 12px; font-size: 12.5px; line-height: 22px; white-space: nowrap; cursor: help;
  border: 1px solid; }}
.{ROOT} .gx-word b {{ font-weight: 700; font-size: 11px; }}
.{ROOT} .gx-error {{ color: #b3261e; background: #fdeeec; border-radius: 5px; padding: 2px 8px;
  font-size: 12.5px; }}
.{ROOT} .gx-busy {{ color: #7a5000; background: #fdf4e1; border-radius: 5px; padding: 2px 8px;
  font-size: 12.5px; }}
.{ROOT} .gx-params {{ border-collapse: collapse; width: 100%; font-size: 13px; margin: 0; }}
.{ROOT} .gx-params td, .{ROOT} .gx-params th {{ padding: 3px 6px; border-bottom: 1px solid {LINE};
  text-align: left; vertical-align: middle; background: none; }}
.{ROOT} .gx-params th {{ white-space: nowrap;
  font-weight: 500; color: {SOFT}; font-size: 11.5px; padding-top: 0; }}
.{ROOT} .gx-params td.gx-number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
  font-weight: 600; }}
.{ROOT} .gx-params td.gx-no {{ color: {FAINT}; font-weight: 400; }}
.{ROOT} .gx-params small {{ color: {SOFT}; font-size: 11.5px; line-height: 1.2; display: block; }}
.{ROOT} .gx-facts {{ margin: 5px 6px 0; color: {SOFT}; font-size: 12.5px; }}
.{ROOT} .gx-facts b {{ color: {INK}; font-weight: 600; font-variant-numeric: tabular-nums; }}
.{ROOT} .gx-hint {{ color: {SOFT}; font-size: 12px; line-height: 1.4; }}
.{ROOT} .gx-line {{ white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
.{ROOT} .gx-head {{ font-weight: 600; font-size: 12.5px; }}
.{ROOT} .gx-found {{ list-style: none; margin: 2px 0 0; padding: 8px 0 0; border-top: 1px solid {LINE};
  font-size: 12.5px; line-height: 1.42; }}
.{ROOT} .gx-found li {{ margin: 0 0 5px; padding-left: 20px; position: relative; color: {INK}; }}
.{ROOT} .gx-found li > b {{ position: absolute; left: 3px; font-size: 11px; }}
.{ROOT} .gx-found li > span {{ color: {SOFT}; }}
.{ROOT} .gx-links button {{ margin: 2px 5px 2px 0; color: #005a8f; }}
.{ROOT} .gx-links a {{ display: inline-block; margin: 2px 5px 2px 0; padding: 1px 9px; border-radius: 5px;
  border: 1px solid #c9d0d7; color: #005a8f; text-decoration: none; font-size: 12.5px; line-height: 22px; }}
.{ROOT} .gx-links a:hover {{ background: {RAISED}; }}
.{ROOT} .gx-code textarea {{ display: block; width: 100%; box-sizing: border-box; resize: vertical;
  font: 11.5px/1.4 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace !important; color: {INK};
  background: {RAISED}; border: 1px solid {LINE}; margin-top: 4px; padding: 5px 7px; white-space: pre; }}
.{ROOT} .gx-card {{ border-left: 3px solid {LINE}; padding: 2px 0 4px 8px; }}
.{ROOT} .gx-card .jupyter-button {{ align-self: flex-start; }}
.{ROOT} .gx-tabs .jupyter-button:focus {{ outline: none !important; box-shadow: none !important;
  border-left: 0 !important; border-right: 0 !important; border-top: 0 !important; }}
.{ROOT} .gx-out {{ font-size: 12px; border-collapse: collapse; }}
.{ROOT} .gx-out td {{ padding: 1px 8px 1px 0; }}
"""


def sheet() -> str:
    """Give the styles as an element."""
    return f"<style>{CSS}</style>"


def symbol_html(text: str) -> str:
    """Write a symbol, or a text with symbols, for HTML: λ_P with its index set low."""
    return indices_low(escape(text))
