"""An endpoint with no end to the context: OpenAI's SDK asks about more text than the window of the model holds.

The model behind is SIMULATED, so that this runs offline: `swarm serve --model openai:NAME` puts a real one there.
"""

import tempfile

from openai import OpenAI

from swarm.testing.provider import Provider
from swarm.testing.serving import Serving

DIARY = [f"Day {n}: rain in the valley, and nothing that anybody would write home about." for n in range(1, 700)]
DIARY[332] = "Day 333: the tower of Elvas was finished."


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Provider(window=8_000) as behind,
        Serving("openai:any", behind.openai_url, store=f"{folder}/s.db", options=["--window", "8000"]) as endpoint,
        OpenAI(base_url=endpoint.openai_url, api_key=endpoint.token) as client,
    ):
        asked = "\n".join([*DIARY, "", "On which day was the tower of Elvas finished?"])
        reply = client.chat.completions.create(model="any", messages=[{"role": "user", "content": asked}])
        message = reply.choices[0].message
        print(message.content)
        for annotation in message.annotations or ():
            print(f"  cites {annotation.url_citation.url}")
        if reply.usage is not None:
            print(f"  {reply.usage.prompt_tokens:,} tokens were sent to a window of 8,000, part by part")


if __name__ == "__main__":
    main()
