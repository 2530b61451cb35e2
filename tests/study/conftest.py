"""A browser for the tests of the page, and pages without figures, which take most of the time, for other tests."""

import pytest

from tests.browser import browser

__all__ = ["browser"]


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gans.study.publish.draw_all", lambda *_: {})
