"""TextScrubber of a capture without what is private: paths, names of programs, words of command lines.

What tells the story stays: options, keys, numbers, and the words that vutrace's own tables know.
"""

import re
from collections.abc import Iterable

from vutrace.dissection.device import Device
from vutrace.evidence.replacements import Private, Replacements
from vutrace.rules.implementations import PROGRAMS

TOKEN = re.compile(r"[^\s,=:{}\[\]\"']+")
NUMBER = re.compile(r"-?\d+[kKmMgGtTbBs]?|0x[0-9a-fA-F]{1,8}")
PUBLIC = re.compile(
    r"(on|off|yes|no|true|false|none|auto|unix|socket|server|nowait|wait|file|raw|qcow2|tcg|kvm|q35|pc|virt|microvm|"
    r"memory-backend-(memfd|ram|file|shm)|vhost-user[a-z0-9-]*|vhost-device-[a-z0-9-]+|virtio[a-z0-9_-]*|"
    r"(net|eth)_(vhost|virtio_user)\d*|nographic|stdio|mem|connect|listen)"
)
SYSTEM = re.compile(r"/(usr|bin|sbin|lib|lib64)/.*")
PATH = re.compile(r"(?<![\w/])/(?:[\w.@%+~-]+/)*[\w.@%+~-]+")
ENDPOINT = re.compile(r"((?:listen|connect):)?(.*)", re.DOTALL)
# What stands for an end that is no path.
PLACES = re.compile(r"unknown|QEMU|DPDK|libvhost-user|vutrace.*|fd:\d+|(strace|sockdump)( \d+)?|socket .*|")
LONGEST_NAME = 15  # the kernel's


class TextScrubber:
    """Scrubs texts; knows the devices whose words in command lines are told."""

    def __init__(self, replacements: Replacements, devices: Iterable[Device] = ()) -> None:
        self._replacements = replacements
        programs = [row[0] for rows in PROGRAMS.values() for row in rows if row[0]]
        self._programs = re.compile("|".join(f"(?:{each})" for each in programs))
        commands = [pattern for device in devices for pattern in device.evidence.commands]
        self._devices = re.compile("|".join(f"(?:{each})" for each in commands) or r"(?!)")
        self._seen: dict[str, str] = {}
        self._paths: set[str] = set()

    def endpoint(self, text: str) -> str:
        """One end of a connection."""
        found = ENDPOINT.fullmatch(text)
        assert found
        if PLACES.fullmatch(found[2]):
            return text
        return (found[1] or "") + self.path(found[2])

    def path(self, text: str) -> str:
        """A path, part by part: two in one directory stay in one."""
        if Private.PATHS in self._replacements.keep or not text.strip("/."):
            return text
        parts = [self._part(part) for part in text.split("/")]
        made = "/".join(parts)
        self._seen[text] = made
        self._paths.add(text)
        return made

    def _part(self, part: str) -> str:
        return part if part in ("", ".", "..") else self._replacements.word(Private.PATHS, part)

    def name(self, text: str) -> str:
        """A program's name; one that anybody may have stays."""
        if not text or self._is_public(text):
            return text
        made = self._replacements.word(Private.NAMES, text)
        self._seen[text] = made
        return made

    def _is_public(self, text: str) -> bool:
        return bool(self._programs.search(text) or PUBLIC.fullmatch(text))

    def command(self, text: str) -> str:
        """A command line."""
        return TOKEN.sub(lambda found: self._token(found, text), text)

    def _token(self, found: re.Match[str], text: str) -> str:
        word, before, behind = found[0], text[: found.start()], text[found.end() :]
        if not before:
            return self._program(word)
        if behind.startswith("=") or behind.startswith('":') or NUMBER.fullmatch(word):
            return word
        if "/" in word or word in self._paths:
            return self.path(word)
        option = word.startswith("-") and before[-1] in " '\""
        if option or PUBLIC.fullmatch(word) or self._devices.search(word):
            return word
        made = self._replacements.word(Private.ARGUMENTS, word)
        if len(word) > 3:
            self._seen.setdefault(word, made)
        return made

    def _program(self, word: str) -> str:
        directory, slash, name = word.rpartition("/")
        if SYSTEM.fullmatch(word) and self._is_public(name):
            return word
        return (self.path(directory) + slash if slash else "") + self.name(name)

    def plain(self, text: str) -> str:
        """A sentence: what is known to be private, and whatever is a path."""
        for was in sorted(self._seen, key=len, reverse=True):
            if was in text:
                whole = rf"(?<![\w-]){re.escape(was)}(?![\w-])"
                text = re.sub(whole, self._seen[was].replace("\\", r"\\"), text)
        made = set(self._seen.values())
        return PATH.sub(lambda found: found[0] if found[0] in made else self.path(found[0]), text)

    def file(self, text: str) -> str:
        """The name of a descriptor: a path, or what a memfd is called."""
        if "/" in text:
            return self.path(text)
        return text if not text or PUBLIC.fullmatch(text) else self.name(text)
