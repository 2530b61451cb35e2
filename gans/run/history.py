"""history.json: the events of a run, in order."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gans.data.source import Source
from gans.errors import InputError
from gans.files import write_json

Event = Literal["started", "resumed", "stopped", "failed", "rolled back", "finished"]


class History:
    """The events of a run, each with its time; an ``InputError`` if the file can't be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.is_file() else "[]"
            self.events: list[dict[str, Any]] = json.loads(text)
            if not isinstance(self.events, list):
                raise ValueError("it is no list of events")
            for event in self.events:
                datetime.fromisoformat(event["time"])
                if event["event"] == "failed":
                    _ = event["training_step"], event["why"]
            self.last = self.events[-1]["event"] if self.events else None
        except OSError as error:
            raise InputError(f"'{self.path}' can't be read: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"'{self.path}' is damaged ({error}): delete it to start a new one") from error

    def add(self, event: Event, **facts: Any) -> None:
        self.events.append({"event": event, "time": datetime.now(UTC).isoformat(timespec="seconds"), **facts})
        write_json(self.path, self.events)
        self.last = event

    def count(self, event: Event) -> int:
        return sum(each["event"] == event for each in self.events)

    @property
    def images(self) -> tuple[str, str]:
        """The hashes of the training and test images that the run started with; "" if one is not known."""
        names = "data_sha256", "test_sha256"
        train, test = (next((event[name] for event in self.events if event.get(name)), "") for name in names)
        return train, test

    def has_other_images(self, data: Source) -> bool:
        """Whether the run started with other training or test images than these, as far as it is known."""
        now = data.data_sha256, data.test_sha256
        return any(one and other and one != other for one, other in zip(self.images, now, strict=True))

    @property
    def features(self) -> str:
        """The hash of the feature network with which the run was evaluated last; "" if it is not known."""
        return next((event["features_sha256"] for event in reversed(self.events) if event.get("features_sha256")), "")

    @property
    def own_code(self) -> set[str]:
        """The hash of each version of the user's own code with which the run was started or resumed, "" of none.

        Empty for a run of an earlier version without code of the user's own, which did not record that.
        """
        return {event["own_code_sha256"] for event in self.events if "own_code_sha256" in event}

    @property
    def failure(self) -> tuple[int, str] | None:
        """Step and reason of the failure that ended the run; None if it did not fail."""
        last = self.events[-1] if self.events else {}
        return (last["training_step"], last["why"]) if last.get("event") == "failed" else None
