"""The page of a scene in a headless browser: opened as a file, used with mouse and keys."""

import json

import pytest
from helpers.browser import Browser, find_browser
from helpers.demo_frames import RANGE, boxes, make_frame

from mmdet3d_plugin.visualization.scene_page import page_content, write_page

pytestmark = pytest.mark.slow  # starts a browser
ORANGE, BLUE, GREEN = (196, 82, 10), (0, 103, 171), (0, 121, 90)  # of the models and the ground truth, light scheme

NO_BROWSER = 'no Chromium or Chrome: install one (apt-get install chromium), or name it in CHROMIUM'


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """Three frames; the models' boxes stand still on the left and on the right, the ground truth wanders upwards."""
    frames = [
        make_frame(
            number,
            models={
                'student': boxes([-10, 0, 0, 8, 4, 2, 0], scores=[0.6]),
                'distilled': boxes([10, 0, 0, 8, 4, 2, 0], [10, -12, 0, 4, 4, 2, 0], scores=[0.9, 0.2]),
            },
            truth=boxes([0, 5 + 4 * number, 0, 4, 2, 2, 0], velocities=[[0.0, 8.0]]),
            points=[[-15 + i / 5, 15 + j / 5, 0, 0, 0] for i in range(20) for j in range(20)],
        )
        for number in range(3)
    ]
    path = tmp_path_factory.mktemp('page') / 'demo.html'
    write_page(path, page_content(frames, RANGE, title='Demo', threshold=0.3, fps=20))
    return path


@pytest.fixture
def browser(page, tmp_path):
    program = find_browser()
    if program is None:
        pytest.skip(NO_BROWSER)
    with Browser(program, tmp_path / 'profile') as browser:
        browser.scheme('light')
        browser.open(page.as_uri())
        yield browser
        assert browser.errors == []
        assert browser.requests == [page.as_uri()]


def test_errors_and_requests_would_be_noticed(tmp_path):
    program = find_browser()
    if program is None:
        pytest.skip(NO_BROWSER)
    page = tmp_path / 'broken.html'
    page.write_text('<img src="absent.png"><script>console.error("one"); throw new Error("two");</script>')
    with Browser(program, tmp_path / 'profile') as browser:
        browser.open(page.as_uri())
    assert any('one' in error for error in browser.errors) and any('two' in error for error in browser.errors)
    assert browser.requests == [page.as_uri(), (tmp_path / 'absent.png').as_uri()]


def place(browser, x, y):
    """Window coordinates of a place in metres, from the range and the size of the canvas alone."""
    left, top, width, height = canvas(browser)
    scale = min(width / 40, height / 40)
    return left + width / 2 + x * scale, top + height / 2 - y * scale


def canvas(browser, selector='#bev'):
    script = f'(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();'
    return browser.run(f'{script} return [r.x, r.y, r.width, r.height]; }})()')


def colour_count(browser, colour, selector='#bev', tolerance=40):
    """Pixels of a canvas that are near a colour."""
    return browser.run(
        f"""(() => {{
          const canvas = document.querySelector({json.dumps(selector)});
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          let count = 0;
          for (let i = 0; i < data.length; i += 4) {{
            const far = {list(colour)}.map((value, k) => Math.abs(value - data[i + k]));
            if (Math.max(...far) < {tolerance}) count++;
          }}
          return count;
        }})()"""
    )


def highest_row(browser, colour):
    """First row of the canvas with pixels near a colour."""
    return browser.run(
        f"""(() => {{
          const canvas = document.getElementById('bev');
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          for (let i = 0; i < data.length; i += 4) {{
            if ({list(colour)}.every((value, k) => Math.abs(value - data[i + k]) < 40)) return i / 4 / canvas.width;
          }}
          return -1;
        }})()"""
    )


def text(browser, selector):
    return browser.run(f'document.querySelector({json.dumps(selector)}).textContent')


def test_frames_step_by_keys_buttons_slider_and_play(browser):
    assert text(browser, '#number') == '1 / 3' and text(browser, '#where') == 'scene-0001, 0.0 s'
    scale = (place(browser, 0, 0)[1] - place(browser, 0, 1)[1]) * 1.0
    first = highest_row(browser, GREEN)
    browser.press('ArrowRight')
    assert text(browser, '#number') == '2 / 3' and text(browser, '#where') == 'scene-0001, 0.5 s'
    assert first - highest_row(browser, GREEN) == pytest.approx(4 * scale, abs=2)  # 4 m further
    browser.click('#next')
    browser.click('#next')
    assert text(browser, '#number') == '1 / 3'
    browser.press('ArrowLeft')
    assert text(browser, '#number') == '3 / 3'
    browser.run("{ const s = document.getElementById('frame'); s.value = 1; s.dispatchEvent(new Event('input')); }")
    browser.settle()
    assert text(browser, '#number') == '2 / 3'
    browser.click('#play')
    seen = browser.run(
        """new Promise((done) => {
          const seen = new Set();
          const look = setInterval(() => {
            seen.add(document.getElementById('number').textContent);
            if (seen.size === 3) { clearInterval(look); done([...seen].sort()); }
          }, 5);
          setTimeout(() => { clearInterval(look); done([...seen].sort()); }, 5000);
        })"""
    )
    assert seen == ['1 / 3', '2 / 3', '3 / 3'] and text(browser, '#play') == 'Pause'
    browser.click('#play')
    assert text(browser, '#play') == 'Play'


def test_layers_and_scores_are_switched(browser):
    counts = [colour_count(browser, colour) for colour in (ORANGE, BLUE, GREEN)]
    assert min(counts) > 50
    browser.click('#layer-0')
    assert colour_count(browser, ORANGE) == 0 and colour_count(browser, BLUE) == counts[1]
    browser.press('3')
    assert colour_count(browser, GREEN) == 0
    browser.press('3')
    browser.press('1')
    assert [colour_count(browser, colour) for colour in (ORANGE, BLUE, GREEN)] == counts
    for score, shown, more in ((0.1, '2', True), (0.9, '1', False)):
        browser.run(
            f"{{ const s = document.getElementById('score'); s.value = {score}; s.dispatchEvent(new Event('input')); }}"
        )
        browser.settle()
        assert text(browser, '#count-1') == shown and (colour_count(browser, BLUE) > counts[1]) == more
    assert text(browser, '#count-0') == '0' and colour_count(browser, ORANGE) == 0


def test_points_are_switched(browser):
    grey = (126, 136, 151)
    before = colour_count(browser, grey, tolerance=25)
    browser.press('p')
    assert colour_count(browser, grey, tolerance=25) < before and not browser.run(
        "document.getElementById('points').checked"
    )


def test_view_moves_and_zooms(browser):
    x, y = place(browser, 0, 0)
    before, blue = highest_row(browser, GREEN), colour_count(browser, BLUE)
    browser.mouse('mousePressed', x, y, button='left', clickCount=1)
    browser.mouse('mouseMoved', x, y + 30, button='left', buttons=1)
    browser.mouse('mouseReleased', x, y + 30, button='left', clickCount=1)
    assert highest_row(browser, GREEN) - before == pytest.approx(30, abs=1)
    browser.press('0')
    assert highest_row(browser, GREEN) == before
    browser.mouse('mouseWheel', x, y, deltaX=0, deltaY=400 * 0.4)  # away by a factor of exp(-0.4)
    assert colour_count(browser, BLUE) < 0.8 * blue
    browser.press('0')
    assert colour_count(browser, BLUE) == blue


def test_a_box_under_the_mouse_says_what_it_is(browser):
    browser.mouse('mouseMoved', *place(browser, 11, 1))
    assert browser.run("document.getElementById('tip').hidden") is False
    assert text(browser, '#tip') == 'cardistilledscore 0.90 · 10.0 m away'
    browser.mouse('mouseMoved', *place(browser, 1, 5))
    assert text(browser, '#tip') == 'carground truth8.0 m/s · 5.0 m away'
    browser.mouse('mouseMoved', *place(browser, 0, -15))
    assert browser.run("document.getElementById('tip').hidden") is True


def test_side_by_side_colours_by_class_and_schemes(browser):
    browser.press('s')
    assert browser.run("document.getElementById('main').classList.contains('split')")
    left, _, width, _ = canvas(browser)
    assert width > 1300 and colour_count(browser, ORANGE) > 50
    browser.click('input[value=class]')
    assert colour_count(browser, ORANGE) < 50 < colour_count(browser, (31, 119, 210))
    assert text(browser, '#classes') == 'car'
    ground = browser.run("[...document.getElementById('bev').getContext('2d').getImageData(300, 300, 1, 1).data]")
    browser.scheme('dark')
    dark = browser.run("[...document.getElementById('bev').getContext('2d').getImageData(300, 300, 1, 1).data]")
    assert sum(ground[:3]) > 700 and sum(dark[:3]) < 120


def test_cameras_show_image_and_boxes(browser):
    """The ground truth, 5 m ahead, is in the one camera; the models' boxes lie beside it."""
    camera = '#cameras canvas'
    assert colour_count(browser, (200, 30, 30), camera) > 2000
    assert colour_count(browser, GREEN, camera) > 20
    browser.press('3')
    assert colour_count(browser, GREEN, camera) == 0
