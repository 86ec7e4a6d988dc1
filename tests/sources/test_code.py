"""Source code is cut at its functions and types, in whatever language."""

from __future__ import annotations

import pytest

from swarm.sources.code import code

PYTHON = '''\
"""A module."""

import os

LIMIT = 3


# what it is for
@cache
@pytest.mark.parametrize(
    "x", [1, 2]
)
def first(x: int) -> (
    int
):
    """Says: class of things."""

    return x


class Thing(Base):
    """A thing."""

    size = 1

    @property
    def name(self) -> str:
        def inner():
            return 1

        return "x"

    async def go(self):
        raise ValueError("no")

if __name__ == "__main__":
    first(1)
'''
GO = """\
package main

// Server serves.
type Server struct {
\tport int
}

// Run runs.
func (s *Server) Run(ctx context.Context) error {
\treturn nil
}

func main() {
\tx := 1
}
"""
JAVA = """\
package a.b;

/** Doc. */
public final class Account extends Base {
    private int balance;

    @Override
    public int balance(int at) throws Exception {
        if (at > 0) {
            return 1;
        }
        return balance;
    }

    static <T> List<T> all() {
        return null;
    }
}
"""
C = """\
#include <stdio.h>

static int helper(const char *s, int n);

/* adds */
int add(int a,
        int b)
{
    while (a) {
        a--;
    }
    return a + b;
}

struct point {
    int x;
};
"""
RUST = """\
use std::fmt;

/// A point.
#[derive(Debug)]
pub struct Point {
    x: i32,
}

impl fmt::Display for Point {
    fn fmt(&self) -> Result {
        Ok(())
    }
}

pub async fn run() {
}
"""
TYPESCRIPT = """\
import x from "y";

export const total = (a: number, b: number) => {
  return a + b;
};

export default class View {
  render() {
    return 1;
  }
}

export async function load(id) {
  await fetch(id);
}
"""
SQL = """\
-- people
CREATE TABLE IF NOT EXISTS people (
    id INTEGER
);

create or replace view adults as
select * from people;
"""
CASES = {
    "python": (PYTHON, ["first", "Thing", "name", "go"], {"name": "Thing", "go": "Thing", "first": ""}),
    "go": (GO, ["Server", "Run", "main"], {"Run": ""}),
    "java": (JAVA, ["Account", "balance", "all"], {"balance": "Account", "all": "Account"}),
    "c": (C, ["add", "point"], {}),
    "rust": (RUST, ["Point", "fmt::Display", "fmt", "run"], {"run": ""}),
    "typescript": (TYPESCRIPT, ["total", "View", "load"], {"load": ""}),
    "sql": (SQL, ["people", "adults"], {}),
}


@pytest.mark.parametrize(("text", "names", "within"), CASES.values(), ids=CASES)
def test_definitions_are_units_of_their_own(text, names, within):
    units = list(code([text]))
    assert "".join(unit.text for unit in units) == text
    defined = [unit for unit in units if unit.title]
    assert [unit.title for unit in defined] == names
    assert {unit.title: unit.context for unit in defined if unit.title in within} == within


def test_what_leads_into_a_definition_goes_with_it():
    by_name = {unit.title: unit.text for unit in code([PYTHON])}
    assert by_name["first"].startswith("# what it is for\n@cache\n@pytest.mark.parametrize(\n")
    assert by_name["first"].endswith("return x\n\n\n")
    assert by_name["name"].startswith("    @property\n    def name")
    assert "def inner" in by_name["name"]
    java = {unit.title: unit.text for unit in code([JAVA])}
    assert java["Account"].startswith("/** Doc. */\n")
    assert java["balance"].lstrip().startswith("@Override")
    assert java["balance"].count("}") == 2


def test_what_follows_a_definition_at_the_margin_does_not():
    last = list(code([PYTHON]))[-1]
    assert last.text.startswith('if __name__ == "__main__":')
    assert (last.cut, last.context, last.title) == (1, "", "")


def test_a_type_at_the_margin_is_a_section_and_a_function_is_not():
    cuts = {unit.title: unit.cut for unit in code([PYTHON])}
    assert (cuts["Thing"], cuts["first"], cuts["go"]) == (3, 2, 2)
