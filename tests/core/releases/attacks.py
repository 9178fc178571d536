"""What can be done to published releases, as data: an attack, and what a machine must say to it.

The kinds are those of the TUF conformance suite. In each case a machine has verified release 1 before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eucentric_core import ReleaseExpiredError, ReleaseRefusedError, ReleaseUnreachableError

from .site import Site, key

__all__ = ["CASES", "Case"]

Step = Callable[[Site], object]


@dataclass(frozen=True)
class Case:
    """One attack, or one honest change that looks like one.

    Args:
        name: of the test.
        attack: done to the site after release 1 was verified.
        refused: error that a machine must raise; None: it must accept.
        number: number of the release it must accept.
        before: done before release 1 is verified.
        thresholds: signatures that each role asks for.
    """

    name: str
    attack: Step
    refused: type[Exception] | None = ReleaseRefusedError
    number: int = 2
    before: Step = lambda site: None
    thresholds: dict[str, int] = field(default_factory=dict)


def steps(*several: Step) -> Step:
    def run(site: Site) -> None:
        for step in several:
            step(site)

    return run


def release(site: Site) -> None:
    site.release()


def expire(role: str) -> Step:
    def run(site: Site) -> None:
        site.days[role] = -1.0
        if role == "root":
            site.root.signed.version += 1
            site.put_root()
        site.release()

    return run


def put_back(*roles: str) -> Step:
    """Release 2 is published and verified by nobody; then files of these roles are those of release 1."""

    def run(site: Site) -> None:
        old = {role: site.files[site.name(role)] for role in roles}
        site.release()
        for role, content in old.items():
            site.files[site.name(role)] = content

    return run


def older(role: str) -> Step:
    """Release 2 was verified; then a role says a lower version, signed by its own keys."""

    def run(site: Site) -> None:
        site.metadata(role).signed.version -= 2
        above = {"targets": ("targets", "snapshot", "timestamp"), "snapshot": ("snapshot", "timestamp")}
        site.publish(only=above.get(role, ("timestamp",)))

    return run


def signed_by(role: str, *names: str) -> Step:
    def run(site: Site) -> None:
        site.release()
        if role == "root":
            site.root.signed.version += 1
            site.put("root", site.sign("root", site.root, by=names))
        else:
            site.resign(role, *names)

    return run


def flip(role: str) -> Step:
    """One letter of what is signed is another; the role above pins the altered file."""

    def run(site: Site) -> None:
        site.release()
        if role == "root":
            site.root.signed.version += 1
            site.put_root()
        metadata = site.metadata(role)
        metadata.signed.unrecognized_fields["x-note"] = "altered"
        site.put(role, metadata)
        above = {"targets": ("snapshot", "timestamp"), "snapshot": ("timestamp",)}.get(role, ())
        site.publish(only=above)

    return run


def replaced(role: str, content: bytes | Callable[[bytes], bytes]) -> Step:
    def run(site: Site) -> None:
        site.release()
        if role == "root":
            site.root.signed.version += 1
            site.put_root()
        name = site.name(role)
        site.files[name] = content(site.files[name]) if callable(content) else content

    return run


def longer(role: str, length_bytes: int) -> Step:
    """Signed by the right keys, and longer than any file of its role may be."""

    def run(site: Site) -> None:
        site.metadata(role).signed.unrecognized_fields["x-filling"] = "x" * length_bytes
        if role == "root":
            site.root.signed.version += 1
            site.put_root()
        site.release()

    return run


def missing(name: Callable[[Site], str]) -> Step:
    def run(site: Site) -> None:
        site.release()
        site.files.pop(name(site))

    return run


def changed_release(change: Callable[[bytes], bytes]) -> Step:
    def run(site: Site) -> None:
        site.release()
        site.files[site.release_file] = change(site.files[site.release_file])

    return run


def signed_release(content: bytes | dict[str, Any]) -> Step:
    """Any content, signed by the right keys as the release."""

    def run(site: Site) -> None:
        if isinstance(content, bytes):
            made = content
        else:
            made = json.dumps({**json.loads(site.files[site.release_file]), **content}).encode()
        site.put_target(made)
        site.publish()

    return run


def other_branch(*roles: str) -> Step:
    """Two honest hubs with the same keys and versions; these roles are shown from the other one."""

    def run(site: Site) -> None:
        site.release(reason="one branch")
        twin = Site()
        twin.root = site.root
        twin.release(reason="the other branch")
        for role in roles:
            site.files[site.name(role)] = twin.files[twin.name(role)]

    return run


def signed_twice(role: str) -> Step:
    """One key signs twice, under two names."""

    def run(site: Site) -> None:
        site.release()
        first = site.keys[role][0]
        site.put(role, site.sign(role, site.metadata(role), by=(first,)))

        def double(document: dict[str, Any]) -> None:
            second = key(site.keys[role][1]).public_key.keyid
            document["signatures"].append({**document["signatures"][0], "keyid": second})

        site.rewrite(role, double)

    return run


def fast_forward(role: str) -> Step:
    """A thief of a role's key counts as high as one can, is believed, and then the key is rotated."""

    def run(site: Site) -> None:
        site.metadata(role).signed.version = 2**31
        site.release()

    return run


def recover(role: str) -> Step:
    def run(site: Site) -> None:
        site.metadata(role).signed.version = 10
        if role != "timestamp":
            # Whoever cleans up after a thief rotates what stands above, too: its files point there.
            site.timestamp.signed.version = 10
            site.rotate("timestamp", "timestamp-new")
        if role == "targets":
            site.snapshot.signed.version = 10
            site.rotate("snapshot", "snapshot-new")
        site.rotate(role, f"{role}-fresh")
        site.release()

    return run


def rotate_often(times: int) -> Step:
    def run(site: Site) -> None:
        for turn in range(times):
            site.rotate("root", f"root-turn-{turn % 2}")
        site.release()

    return run


def keep(site: Site) -> None:
    """Remember what is published, and publish release 2."""
    site.kept = dict(site.files)
    site.release()


def put_back_all(site: Site) -> None:
    site.files.update(site.kept)


def forget_targets(site: Site) -> None:
    site.snapshot.signed.meta.clear()
    site.put("snapshot", site.sign("snapshot", site.next("snapshot", site.snapshot)))
    site.publish(only=("timestamp",))


def skip_a_root(site: Site) -> None:
    site.root.signed.version = 3
    site.sign("root", site.root)
    site.files["metadata/2.root.json"] = site.root.to_bytes()


def succeed_root(site: Site) -> None:
    site.days["root"] = 700.0
    site.root.signed.version += 1
    site.put_root()


def rotated(role: str) -> Step:
    def run(site: Site) -> None:
        site.rotate(role, f"{role}-b")

    return run


def set_gone(site: Site) -> None:
    site.gone = True


ANY_ROLE = ("root", "timestamp", "snapshot", "targets")
BELOW_ROOT = ("timestamp", "snapshot", "targets")

CASES: tuple[Case, ...] = (
    # Honest changes.
    Case("nothing happened", lambda site: None, None, number=1),
    Case("a release", release, None),
    Case("five releases at once", steps(*[release] * 5), None, number=6),
    Case("the same release, signed anew", lambda site: site.publish(), None, number=1),
    Case("a new timestamp alone", lambda site: site.publish(only=("timestamp",)), None, number=1),
    # Rollback.
    *(Case(f"rollback of {role}", older(role), before=release) for role in BELOW_ROOT),
    Case(
        "rollback of everything to release 1",
        put_back_all,
        before=keep,
    ),
    Case("snapshot without the targets it had", forget_targets),
    Case(
        "root of an old version under a new number",
        lambda site: site.files.update({"metadata/2.root.json": site.files["metadata/1.root.json"]}),
    ),
    Case("root that skips a version", skip_a_root),
    # Freeze.
    *(Case(f"expired {role}", expire(role), ReleaseExpiredError) for role in ANY_ROLE),
    Case(
        "root that expired meanwhile and has a successor",
        steps(expire("root"), succeed_root),
        None,
    ),
    Case("the source is gone", set_gone, ReleaseUnreachableError),
    # Mix-and-match.
    *(Case(f"{role} of the state before", put_back(role)) for role in ("snapshot", "targets")),
    Case("snapshot and targets of the state before", put_back("snapshot", "targets")),
    *(Case(f"{role} of another branch", other_branch(role)) for role in ("snapshot", "targets")),
    Case("snapshot and targets of another branch", other_branch("snapshot", "targets")),
    Case("timestamp of another branch", other_branch("timestamp")),
    Case(
        "targets with another version than the snapshot says",
        replaced("targets", lambda old: old.replace(b'"version":2', b'"version":7')),
    ),
    # Wrong keys.
    *(Case(f"{role} signed by a stranger", signed_by(role, "stranger")) for role in ANY_ROLE),
    *(Case(f"{role} signed by nobody", signed_by(role)) for role in ANY_ROLE),
    Case("targets signed by the timestamp's key", signed_by("targets", "timestamp-1")),
    Case("snapshot signed by the timestamp's key", signed_by("snapshot", "timestamp-1")),
    Case("timestamp signed by the targets' key", signed_by("timestamp", "targets-1")),
    Case("root signed by the targets' key", signed_by("root", "targets-1")),
    *(Case(f"{role} altered after it was signed", flip(role)) for role in ANY_ROLE),
    # Thresholds.
    Case("two of two signatures on targets", release, None, thresholds={"targets": 2}),
    Case("one of two signatures on targets", signed_by("targets", "targets-1"), thresholds={"targets": 2}),
    Case(
        "one of two signatures on the timestamp",
        signed_by("timestamp", "timestamp-2"),
        thresholds={"timestamp": 2},
    ),
    Case("one key twice where two are wanted", signed_twice("timestamp"), thresholds={"timestamp": 2}),
    Case(
        "one known and one strange signature where two are wanted",
        signed_by("timestamp", "timestamp-1", "stranger"),
        thresholds={"timestamp": 2},
    ),
    Case(
        "a strange signature beside enough known ones",
        signed_by("timestamp", "timestamp-1", "stranger"),
        None,
    ),
    # Rotation.
    *(
        Case(
            f"rotation of {role}",
            steps(rotated(role), release),
            None,
        )
        for role in ANY_ROLE
    ),
    Case(
        "rotation of root to two keys of two",
        steps(lambda site: site.rotate("root", "root-b", "root-c", threshold=2), release),
        None,
    ),
    Case(
        "rotation of root signed by the new key alone",
        lambda site: site.rotate("root", "root-b", by=("root-b",)),
    ),
    Case(
        "rotation of root signed by the old key alone",
        lambda site: site.rotate("root", "root-b", by=("root-1",)),
    ),
    Case(
        "rotation of root with one of the two old keys",
        lambda site: site.rotate("root", "root-b", by=("root-1", "root-b")),
        thresholds={"root": 2},
    ),
    Case("three rotations of root at once", rotate_often(3), None),
    Case(
        "a root in the middle is missing",
        steps(
            lambda site: site.rotate("timestamp", "timestamp-b"),
            lambda site: site.rotate("timestamp", "timestamp-c"),
            release,
            lambda site: site.files.pop("metadata/2.root.json"),
        ),
    ),
    *(
        Case(
            f"the old key of {role} after its rotation",
            steps(rotated(role), signed_by(role, f"{role}-1")),
        )
        for role in ANY_ROLE
    ),
    *(
        Case(
            f"recovery after the key of {role} was stolen",
            recover(role),
            None,
            number=3,
            before=fast_forward(role),
        )
        for role in BELOW_ROOT
    ),
    # Endless data.
    Case("endless root", longer("root", 600_000)),
    Case("endless timestamp", longer("timestamp", 20_000)),
    Case("endless snapshot", longer("snapshot", 3 << 20)),
    Case("endless targets", longer("targets", 3 << 20)),
    Case("release that goes on", changed_release(lambda old: old + b" " * 100_000)),
    Case("signed release longer than any", signed_release(b" " * 70_000)),
    # Documents that are none.
    *(
        Case(f"{role} is {what}", replaced(role, content))
        for role in ANY_ROLE
        for what, content in {
            "empty": b"",
            "no JSON": b"\x80\x81 nonsense",
            "a list": b"[]",
            "nested without end": b"[" * 5_000 + b"]" * 5_000,
        }.items()
    ),
    Case(
        "timestamp of another kind",
        replaced("timestamp", lambda old: old.replace(b'"_type":"timestamp"', b'"_type":"snapshot"')),
    ),
    Case(
        "timestamp of a specification to come",
        lambda site: site.rewrite(
            "timestamp", lambda document: document["signed"].update(spec_version="9.0.0")
        ),
    ),
    # What a release says.
    Case(
        "release altered without its length", changed_release(lambda old: old.replace(b"better", b"bitter"))
    ),
    Case("release cut short", changed_release(lambda old: old[:-1])),
    Case("release is missing", missing(lambda site: site.release_file), ReleaseUnreachableError),
    Case("timestamp is missing", missing(lambda site: "metadata/timestamp.json"), ReleaseUnreachableError),
    Case("snapshot is missing", missing(lambda site: site.name("snapshot")), ReleaseUnreachableError),
    Case("targets are missing", missing(lambda site: site.name("targets")), ReleaseUnreachableError),
    Case("signed release of another model", signed_release({"model": "chips"})),
    Case("signed release of a root to come", signed_release({"root_version": 2})),
    Case("signed release of a schema to come", signed_release({"schema_version": 9})),
    Case("signed release with a field nobody knows", signed_release({"run": "rm -rf /"})),
    Case("signed release that is no JSON", signed_release(b"nonsense")),
)
