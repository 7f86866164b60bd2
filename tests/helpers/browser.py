"""A headless Chromium driven over the DevTools protocol, through a pipe: no package is needed beside the browser.

https://chromedevtools.github.io/devtools-protocol/: messages are JSON, each ended by a zero byte.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
# No sandbox, as tests often run as root in a container, where Chromium refuses to start with it.
FLAGS = ('--headless=new', '--remote-debugging-pipe', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
         '--hide-scrollbars', '--no-first-run', '--disable-background-networking')  # fmt: skip


def find_browser():
    """Path of an installed Chromium or Chrome, None without one; CHROMIUM names another."""
    return os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, NAMES)), None)


def _place_pipe(to_browser, from_browser):
    """Put the pipe's ends where the browser looks for them, descriptors 3 and 4; its own alone are inherited."""
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
    for place, end in enumerate(ends, start=3):
        os.dup2(end, place)
        os.close(end)


class Browser:
    """One page of a browser; a context manager that ends the browser.

    Attributes:
        errors (list[str]): Exceptions and error messages of the page's console so far.
        requests (list[str]): Addresses that the page asked for, data URIs left out.
    """

    def __init__(self, program, profile, width=1440, height=900, timeout=30.0):
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        self._timeout, self._number, self._buffer = timeout, 0, b''
        self.errors, self.requests, self._loaded = [], [], False
        self._process = subprocess.Popen(
            [program, *FLAGS, f'--user-data-dir={profile}', f'--window-size={width},{height}'],
            preexec_fn=lambda: _place_pipe(to_browser, from_browser), close_fds=False, stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=self._timeout)
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **params):
        """Result of a command; RuntimeError for an error, TimeoutError without an answer."""
        self._number += 1
        message = dict(id=self._number, method=method, params=params)
        if self._session:
            message['sessionId'] = self._session
        os.write(self._out, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']

    def _receive(self):
        """The next message; events are noted on the way."""
        end = time.monotonic() + self._timeout
        while b'\0' not in self._buffer:
            if not select.select([self._in], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f'the browser has not answered within {self._timeout:g} s')
            part = os.read(self._in, 1 << 20)
            if not part:
                raise RuntimeError('the browser has ended')
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b'\0')
        message = json.loads(text)
        self._note(message.get('method'), message.get('params'))
        return message

    def _note(self, method, params):
        if method == 'Runtime.exceptionThrown':
            details = params['exceptionDetails']
            self.errors.append(details.get('exception', {}).get('description') or details['text'])
        elif method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'assert'):
            self.errors.append(str([value.get('value') for value in params['args']]))
        elif method == 'Log.entryAdded' and params['entry']['level'] == 'error':
            self.errors.append(params['entry']['text'])
        elif method == 'Network.requestWillBeSent' and not params['request']['url'].startswith('data:'):
            self.requests.append(params['request']['url'])
        elif method == 'Page.loadEventFired':
            self._loaded = True

    def open(self, address):
        """Load a page and wait until it is there."""
        self._loaded = False
        self.call('Page.navigate', url=address)
        while not self._loaded:
            self._receive()
        self.settle()

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.run('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))')

    def run(self, script):
        """Value of an expression, promises waited for; RuntimeError when it throws."""
        result = self.call('Runtime.evaluate', expression=script, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{script}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def press(self, key):
        """Type a key: a letter, a digit, a blank, or a name such as ArrowRight."""
        text = dict(text=key) if len(key) == 1 else {}
        self.call('Input.dispatchKeyEvent', type='keyDown', key=key, **text)
        self.call('Input.dispatchKeyEvent', type='keyUp', key=key)
        self.settle()

    def mouse(self, kind, x, y, **more):
        """A mouse event: mouseMoved, mousePressed, mouseReleased, mouseWheel; CSS pixels of the window."""
        self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, **more)
        self.settle()

    def click(self, selector):
        """Click on the middle of an element."""
        x, y = self.run(
            f'(() => {{ const element = document.querySelector({json.dumps(selector)}); element.scrollIntoView();'
            f' const box = element.getBoundingClientRect();'
            f' return [box.x + box.width / 2, box.y + box.height / 2]; }})()'
        )
        for kind in ('mousePressed', 'mouseReleased'):
            self.mouse(kind, x, y, button='left', clickCount=1)

    def scheme(self, name):
        """Let the page believe that its reader wants 'light' or 'dark'."""
        self.call('Emulation.setEmulatedMedia', features=[dict(name='prefers-color-scheme', value=name)])
        self.settle()

    def screenshot(self, path):
        """Write a PNG of the window."""
        data = self.call('Page.captureScreenshot', format='png')['data']
        Path(path).write_bytes(base64.b64decode(data))
