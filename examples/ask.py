"""Ask one question of a folder, in one call. Run it in the folder of the project: `python examples/ask.py`."""

import swarm


def main() -> None:
    answer = swarm.run_sync("Which option keeps the cost below a limit?", "docs/")
    print(answer.status, answer.short or "")
    for statement in answer.statements:
        places = ", ".join(str(answer.citations[number]) for number in statement.citations)
        print(f"- {statement.text}  ({places})")
    print(f"{answer.coverage.chars_read:,} of {answer.coverage.chars_total:,} characters read")


if __name__ == "__main__":
    main()
