"""The online plane as Python sees it: configure, start and stop a server; never on the request path."""

from promosvc.serving.presence import find_server
from promosvc.serving.replay import replay_decisions
from promosvc.serving.server import Server, serve

__all__ = ["Server", "find_server", "replay_decisions", "serve"]
