#!/usr/bin/env python3
"""Checks pages of pal-report: page_check.py FILE...

A page must be one well-formed file below 5 MB that needs no network and no script; every picture has
an address of its own and says in words what it shows; every link in it leads somewhere.
"""

import base64
import sys
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}
LARGEST = 5 * 2**20


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.ids, self.links = [], [], set(), []
        self.pictures = self.sections = self.leads = 0

    def fault(self, text):
        line, column = self.getpos()
        self.faults.append(f"{line}:{column}: {text}")

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if len(given) != len(attrs):
            self.fault(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script" or any(name.startswith("on") for name in given):
            self.fault(f"<{tag}>: a script")
        for name in ("src", "href", "srcset", "action"):
            address = given.get(name)
            if address is not None and not address.startswith(("data:image/", "#")):
                self.fault(f"<{tag} {name}>: {address[:60]}")
        if "id" in given:
            if given["id"] in self.ids:
                self.fault(f"the id {given['id']} twice")
            self.ids.add(given["id"])
        if tag == "a":
            self.links.append(given.get("href", "")[1:])
        self.sections += tag == "section"
        self.leads += given.get("class") == "lead"
        if tag == "img":
            self.picture(given)

    def picture(self, given):
        self.pictures += 1
        if not given.get("alt", "").strip():
            self.fault("a picture without words")
        kind, _, body = given.get("src", "").partition(";base64,")
        data = base64.b64decode(body, validate=True)
        start = {"data:image/png": b"\x89PNG", "data:image/svg+xml": b"<svg "}.get(kind)
        if start is None or not data.startswith(start):
            self.fault(f"a picture of {kind[:30]} that is none")
        if b"nan" in data and kind.endswith("xml"):
            self.fault("a drawing with numbers that are none")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.fault(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style" and ("http" in data or "@import" in data):
            self.fault("a style from elsewhere")


def check(path):
    with open(path, "rb") as file:
        raw = file.read()
    page = Page()
    page.feed(raw.decode("utf-8"))
    page.close()
    faults = page.faults + [f"<{tag}> stays open" for tag in page.open]
    faults += [f"the link #{link} leads nowhere" for link in page.links if link not in page.ids]
    if not raw.startswith(b"<!DOCTYPE html>"):
        faults.append("no doctype")
    if len(raw) > LARGEST:
        faults.append(f"{len(raw)} bytes")
    if page.sections == 0 or page.leads != page.sections:
        faults.append(f"{page.sections} sections with {page.leads} leads")
    for fault in faults:
        print(f"{path}: {fault}")
    print(f"{path}: {page.sections} sections, {page.pictures} pictures, {len(raw)} bytes")
    return not faults


if __name__ == "__main__":
    sys.exit(0 if all([check(path) for path in sys.argv[1:]]) else 1)
