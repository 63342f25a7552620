"""The timeline as one self-contained web page: `render` for `vutrace timeline --format html`."""

from vutrace.views.html.page import render as render
