"""The page of the timeline in a real browser: clicked, typed at, zoomed, printed, and large."""

import time
from collections.abc import Iterator
from pathlib import Path

import big_session
import pytest
from kit.sessions import QEMU_7_2, qemu_net
from kit.transcript import START_NS, back, closed, front, script
from kit.transcript import opened as begun
from lab.needs import needs
from lab.process import until
from typer.testing import CliRunner

from vutrace.cli import app
from vutrace.records import Record, Side

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.live, needs("chromium")]

# Where things are on the canvas: see draw.js and lanes.js.
GUTTER, RIGHT = 104, 10
PHASE_Y, DEVICE_Y, FIRST_RING_Y = 56, 120, 151


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    """A headless Chromium."""
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield started
        started.close()


def page_file(directory: Path, records: list[Record]) -> Path:
    """What `vutrace timeline -o` makes of the records."""
    capture = big_session.write(directory / "session.pcapng", records)
    page = directory / "session.html"
    ran = CliRunner().invoke(app, ["timeline", str(capture), "-o", str(page)])
    assert ran.exit_code == 0, ran.output
    return page


class Opened:
    """A page that is open, and everything that it should not have done."""

    def __init__(self, context: "sync_api.BrowserContext", path: Path) -> None:
        self.page, self.wrong = context.new_page(), list[str]()
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.wrong.append(request.url))
        started = time.monotonic()
        self.page.goto(path.as_uri())
        self.drawn()
        self.seconds = time.monotonic() - started
        self.wrong.remove(path.as_uri())  # the page itself

    def drawn(self) -> None:
        """Wait until the next picture is on the screen."""
        frames = "requestAnimationFrame(() => requestAnimationFrame(done))"
        self.page.evaluate(f"() => new Promise(done => {frames})")

    @property
    def title(self) -> str:
        """What the panel is about."""
        return str(self.page.locator("#panel h2").inner_text())

    @property
    def panel(self) -> str:
        """What it says."""
        return str(self.page.locator("#panel").inner_text())

    def press(self, *keys: str) -> None:
        """Keys, in the timeline."""
        self.page.locator("#timeline").focus()
        for key in keys:
            self.page.keyboard.press(key)
        self.drawn()

    def picture(self) -> bytes:
        """What the timeline looks like, without tooltip and focus."""
        self.page.mouse.move(5, 5)
        self.page.evaluate("document.activeElement.blur()")
        self.drawn()
        return bytes(self.page.locator("#timeline").screenshot())

    def at(self, part: float, y: float) -> tuple[float, float]:
        """A place on the screen: a part of the lanes' width, and a height."""
        box = self.page.locator("#timeline").bounding_box()
        assert box
        return box["x"] + GUTTER + (box["width"] - GUTTER - RIGHT) * part, box["y"] + y

    def column(self, row: int, rows: int) -> float:
        """The part at which a row stands, where `rows` rows and a silent phase are all seen."""
        return (row - 0.5) / (rows + max(12, (rows + 8) // 16))


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Two sessions of a guest with two queue pairs."""
    guest = qemu_net(QEMU_7_2, 2).boot()
    guest.restart()
    return guest.script.records


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    """Their page."""
    return page_file(tmp_path_factory.mktemp("small"), records)


@pytest.fixture
def opened(browser: "sync_api.Browser", small: Path) -> Iterator[Opened]:
    """The small page; at the end nothing may have gone wrong."""
    context = browser.new_context(viewport={"width": 1400, "height": 820}, color_scheme="light")
    page = Opened(context, small)
    yield page
    assert page.wrong == []
    context.close()


def test_a_page_opens_with_the_session_in_words(opened: Opened) -> None:
    assert opened.title == "Session 1, net"
    assert "2 × [GET_FEATURES GET_PROTOCOL_FEATURES" in opened.panel
    assert opened.page.locator("#count").inner_text().endswith(" rows")
    assert opened.page.locator("#panel .once").first.inner_text() == "GET_QUEUE_NUM"


def test_a_click_on_a_mark_shows_its_message(opened: Opened, records: list[Record]) -> None:
    rows = sum(record.session == 1 for record in records)
    # GET_FEATURES and its reply are the second and the third row
    opened.page.mouse.click(*opened.at(opened.column(3, rows), DEVICE_Y))
    assert opened.title == "GET_FEATURES"
    assert "features: 0x144008000" in opened.panel
    assert "30 VHOST_USER_F_PROTOCOL_FEATURES" in opened.panel
    assert "0000  01 00 00 00 05 00 00 00" in opened.panel
    opened.page.get_by_role("button", name="request [2]").click()
    assert "reply [3]" in opened.panel


def test_a_click_on_a_ring_shows_its_state(opened: Opened) -> None:
    x, y = opened.at(0, FIRST_RING_Y)
    opened.page.mouse.click(x - 50, y)
    assert opened.title == "ring 0 rx0"
    assert "yes (sent 1)" in opened.panel
    assert "running from row" in opened.panel


def test_pointing_at_something_tells_what_it_is(opened: Opened) -> None:
    opened.page.mouse.move(*opened.at(0.1, PHASE_Y))
    assert opened.page.locator("#tip").inner_text().startswith("init: rows 2–")
    opened.page.mouse.move(*opened.at(0.97, FIRST_RING_Y))
    assert opened.page.locator("#tip").inner_text().startswith("ring 0 rx0: running from row")


def test_the_keyboard_goes_from_mark_to_mark(opened: Opened) -> None:
    opened.press("n", "n")
    assert opened.title == "GET_FEATURES"
    assert opened.page.locator("#said").inner_text().startswith("GET_FEATURES, row 2")
    opened.press("r")
    assert "back-end → front-end" in opened.panel
    for _ in range(3):
        opened.press("ArrowDown")
    assert "ring 2 rx1" in opened.panel
    before = opened.panel
    opened.press("ArrowRight")
    assert opened.panel != before
    assert "ring 2 rx1" in opened.panel
    opened.press("ArrowLeft")
    assert opened.panel == before
    opened.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "panel"
    opened.page.keyboard.press("Escape")
    assert opened.title == "Session 1, net"
    assert opened.page.evaluate("document.activeElement.id") == "timeline"


def test_the_filters_choose_messages_and_rings(opened: Opened) -> None:
    whole = opened.picture()
    opened.press("/")
    opened.page.keyboard.type("set_owner")
    assert opened.page.locator("#count").inner_text().startswith("1 of ")
    opened.page.keyboard.press("Enter")
    opened.press("n")
    assert opened.title == "SET_OWNER"
    opened.press("Escape", "/")
    opened.page.keyboard.press("Escape")
    assert opened.picture() == whole
    opened.page.fill("#rings", "1-2")
    opened.drawn()
    x, y = opened.at(0, FIRST_RING_Y)
    opened.page.mouse.click(x - 50, y)
    assert opened.title == "ring 1 tx0"
    opened.page.get_by_role("button", name="kick").click()
    assert opened.page.get_by_role("button", name="kick").get_attribute("aria-pressed") == "false"
    assert " of " in opened.page.locator("#count").inner_text()


def test_wheel_drag_and_keys_move_and_zoom(opened: Opened) -> None:
    whole = opened.picture()
    opened.page.mouse.move(*opened.at(0.5, FIRST_RING_Y))
    opened.page.mouse.wheel(0, -600)
    near = opened.picture()
    assert near != whole
    opened.page.mouse.move(*opened.at(0.5, FIRST_RING_Y + 200))
    opened.page.mouse.down()
    opened.page.mouse.move(*opened.at(0.3, FIRST_RING_Y + 200), steps=4)
    opened.page.mouse.up()
    assert opened.picture() != near
    opened.press("0")
    assert opened.picture() == whole
    for key in ("+", "s", "a", "-"):
        opened.page.keyboard.press(key)
    assert opened.picture() == whole
    opened.page.mouse.click(*opened.at(0.1, PHASE_Y))
    assert opened.picture() != whole


def test_time_runs_true_when_it_is_asked_for(opened: Opened) -> None:
    order = opened.picture()
    opened.page.get_by_role("radio", name="Time").click()
    assert opened.page.locator("#time").get_attribute("aria-checked") == "true"
    assert opened.picture() != order


def test_another_session_can_be_chosen(opened: Opened) -> None:
    opened.page.select_option("#session", "1")
    assert opened.title == "Session 2, net"
    assert "features" not in opened.page.locator("#panel .phase b").all_inner_texts()


def test_light_and_dark(opened: Opened) -> None:
    light = opened.picture()
    opened.press("d")
    dark = opened.picture()
    assert dark != light
    background = "getComputedStyle(document.body).backgroundColor"
    assert opened.page.evaluate(background) == "rgb(20, 24, 31)"
    opened.page.emulate_media(color_scheme="dark")
    opened.drawn()
    opened.page.emulate_media(color_scheme="light")
    until(lambda: opened.page.evaluate(background) == "rgb(255, 255, 255)", 10, "the page is light again")


def test_help_is_a_key_away(opened: Opened) -> None:
    opened.press("?")
    assert opened.page.get_by_role("dialog").is_visible()
    opened.page.keyboard.press("Escape")
    assert not opened.page.get_by_role("dialog").is_visible()


def test_it_prints(opened: Opened) -> None:
    opened.press("d")
    printed = opened.page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000  # the lanes are in it
    assert opened.page.locator("#paper canvas").count() == 1
    assert opened.page.evaluate("document.documentElement.className") == "dark"


def test_256_rings_and_20_000_messages_open_and_answer(browser: "sync_api.Browser", tmp_path: Path) -> None:
    path = page_file(tmp_path, big_session.records())
    context = browser.new_context(viewport={"width": 1400, "height": 820})
    opened = Opened(context, path)
    print(f"{path.stat().st_size} bytes, open after {opened.seconds:.2f} s")
    assert path.stat().st_size < 4_000_000
    assert opened.seconds < 8  # a second where nothing else runs
    frames = opened.page.evaluate(FRAMES)
    print(f"{frames:.0f} ms for a frame while zooming")
    assert frames < 400
    opened.press("n", "n")
    assert opened.title == "GET_FEATURES"
    opened.page.fill("#rings", "tx127")
    opened.drawn()
    x, y = opened.at(0, FIRST_RING_Y)
    opened.page.mouse.click(x - 50, y)
    assert opened.title == "ring 255 tx127"
    assert opened.wrong == []
    context.close()


# The mean time of a frame in which the timeline zoomed.
FRAMES = """async () => {
  const canvas = document.getElementById("timeline"), started = performance.now();
  for (let i = 0; i < 20; i++) {
    canvas.dispatchEvent(new WheelEvent("wheel", {deltaY: i % 2 ? 60 : -60, clientX: 700, clientY: 400}));
    await new Promise(requestAnimationFrame);
  }
  return (performance.now() - started) / 20;
}"""


FAILURES = {
    "killed while rings run": [*qemu_net(QEMU_7_2, 2).boot().script.records],
    "left in the handshake": script(begun("qemu"), front("GET_FEATURES"), closed()),
    "never answered": script(begun("qemu"), front("GET_FEATURES"), closed(Side.BACKEND, after_ms=3000)),
}
FAILURES["killed while rings run"] += script(
    closed(Side.BACKEND, backend_process="killed 9"),
    start_ns=FAILURES["killed while rings run"][-1].time_ns + 10**9,
)


@pytest.mark.parametrize("records", FAILURES.values(), ids=FAILURES)
def test_a_failure_is_unmistakable_without_any_colour(
    browser: "sync_api.Browser", tmp_path: Path, records: list[Record]
) -> None:
    with browser.new_context(viewport={"width": 1200, "height": 700}) as context:
        opened_page = Opened(context, page_file(tmp_path, records))
        banner = opened_page.page.locator("#banner")
        assert "Something went wrong" in banner.inner_text()
        assert banner.get_attribute("role") == "alert"
        banner.locator("button").click()
        opened_page.drawn()
        assert opened_page.title == "close"
        assert "✖" in str(opened_page.page.locator("#session").inner_text())
        assert not opened_page.wrong


def test_what_is_well_has_no_banner_and_a_legend(browser: "sync_api.Browser", tmp_path: Path) -> None:
    with browser.new_context(viewport={"width": 1200, "height": 700}) as context:
        shown = Opened(context, page_file(tmp_path, qemu_net(QEMU_7_2, 1).boot().script.records))
        assert not shown.page.locator("#banner").is_visible()
        assert "started, not enabled" in shown.page.locator("#legend").inner_text()
        in_order = shown.picture()
        shown.page.locator("#folded").click()
        cut = shown.picture()
        shown.page.locator("#time").click()
        assert len({in_order, cut, shown.picture()}) == 3
        assert not shown.wrong


def test_thousands_of_sessions_that_are_alike_are_one(browser: "sync_api.Browser", tmp_path: Path) -> None:
    short = (begun("qemu"), front("GET_FEATURES"), back("GET_FEATURES", features=0), closed())
    records = [
        record
        for number in range(1, 4001)
        for record in script(*short, session=number, start_ns=START_NS + number * 5_000_000)
    ]
    with browser.new_context(viewport={"width": 1200, "height": 700}) as context:
        shown = Opened(context, page_file(tmp_path, records))
        assert shown.page.locator("#session option").count() == 1
        assert "4,000 sessions that came to the same" in shown.page.locator("#session").inner_text()
        strip = shown.page.locator("#overview").bounding_box()
        assert strip
        assert strip["height"] >= 20
        assert shown.seconds < 5
        assert not shown.wrong
