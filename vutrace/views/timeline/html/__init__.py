"""The timeline as one self-contained web page: `render` for `vutrace timeline --format html`."""

from vutrace.views.timeline.html.page import render as render
