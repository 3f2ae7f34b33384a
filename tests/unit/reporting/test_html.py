"""The page as a whole: complete, self-contained, safe with any name, and working in a browser."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from quantforge.reporting.html import to_html
from tests.unit.reporting.samples import HOSTILE, large_report, small_report

MAX_PAGE_BYTES = 1_500_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
VOID = {"meta", "input", "br", "rect", "line", "circle", "path", "polyline"}

# Uses the page as a reader would, and leaves what it saw on the root element.
READER = """
<script>
addEventListener("load", () => {
  const root = document.documentElement, seen = root.dataset;
  const heads = [...document.querySelectorAll("#layers th button")];
  const column = (n) => [...document.querySelectorAll("#layers tbody tr")].map((row) => row.cells[n].textContent);
  heads.find((head) => head.textContent === "adds").click();
  seen.sorted = column(6).slice(0, 3).join("|");
  heads.find((head) => head.textContent === "adds").click();
  seen.turned = column(6).filter((text) => text.endsWith("dB")).slice(0, 3).join("|");
  const field = document.querySelector("[data-filter=layers]");
  field.value = "DEPTHWISE conv2d";
  field.dispatchEvent(new Event("input"));
  seen.kept = [...document.querySelectorAll("#layers tbody tr")].filter((row) => !row.hidden).length;
  seen.count = field.parentElement.querySelector(".count").textContent;
  document.querySelectorAll(".show")[2].click();
  seen.chart = document.querySelector("#chart-panel figcaption b").dataset.tip;
  const box = document.querySelector("[data-tip]");
  box.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 9, clientY: 9 }));
  seen.tip = document.getElementById("tip").hidden ? "" : document.getElementById("tip").innerText;
  document.querySelector(".copy").click();
  setTimeout(() => { seen.copied = document.querySelector(".copy").textContent; }, 200);
});
</script>
"""


class Outline(HTMLParser):
    """Checks that elements nest, and collects attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_every_tensor_and_layer_appears():
    report = large_report(12)
    text = Outline(to_html(report)).text
    assert {tensor.name for tensor in report.tensors} <= set(text)
    assert {layer.name for layer in report.layers} <= set(text)


def test_nothing_is_loaded_from_anywhere():
    page = to_html(large_report(4))
    assert not re.search(r"https?:|@import|url\(|<link|<img|\bsrc=", page)
    outline = Outline(page)
    assert all(value.startswith("#s-") for _, name, value in outline.attributes if name == "href")
    assert ("meta", "http-equiv", "Content-Security-Policy") in outline.attributes
    assert "default-src 'none'" in page


def test_hostile_names_stay_text():
    page = to_html(small_report())
    assert page.count("<script") == 1
    assert HOSTILE not in page
    assert HOSTILE in "".join(Outline(page).text)
    assert not any(name.startswith("on") for _, name, _ in Outline(page).attributes)


def test_links_lead_to_sections():
    outline = Outline(to_html(small_report()))
    ids = {value for _, name, value in outline.attributes if name == "id"}
    assert {value[1:] for _, name, value in outline.attributes if name == "href"} <= ids
    assert len(ids) == sum(name == "id" for _, name, _ in outline.attributes)


def test_two_hundred_operators_fit():
    report = large_report(65)
    assert len(report.layers) >= 200
    assert len(to_html(report).encode()) < MAX_PAGE_BYTES


def test_same_report_same_bytes():
    assert to_html(large_report(3)) == to_html(large_report(3))


def browser() -> str:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)} to open the page")
    return found


def open_in_browser(page: Path, profile: Path) -> tuple[str, str]:
    """The document after its scripts ran, and what the browser logged."""
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom",
        page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, done.stderr


@pytest.mark.slow
def test_the_page_works_in_a_browser(tmp_path: Path):
    report = large_report(6)
    page = tmp_path / "report.html"
    page.write_text(to_html(report).replace("</body>", READER + "</body>"), "utf-8")
    document, log = open_in_browser(page, tmp_path / "profile")
    assert "CONSOLE" not in log, [line for line in log.splitlines() if "CONSOLE" in line]
    root = re.search(r"<html[^>]*>", document)
    assert root, f"the browser printed no document: {log[-500:]}"
    seen = {name: html.unescape(value) for name, value in re.findall(r'data-(\w+)="([^"]*)"', root[0])}
    assert seen["ready"] == "yes"
    added = sorted(layer.added_db for layer in report.layers if layer.added_db is not None)
    assert seen["sorted"] == "|".join(f"{value:.1f} dB" for value in added[:-4:-1])
    assert seen["turned"] == "|".join(f"{value:.1f} dB" for value in added[:3])
    assert seen["kept"] == "6"
    assert seen["count"] == f"6 of {len(report.layers)} rows"
    assert seen["chart"] == report.tensors[2].name
    assert "int8" in seen["tip"]
    assert seen["copied"] in ("Copied", "Selected")
