"""What tests of Swarm, and of programs built on it, need: a provider that runs on this machine.

`provider.Provider` speaks the formats of Anthropic and OpenAI on a loopback address, `mimic` is what it answers,
and `wire` how that is written in each format. It needs the extra `testing`. A model that needs no server at all
is `swarm.models.scripted.Scripted`.
"""
