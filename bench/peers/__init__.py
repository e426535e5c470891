"""Peers that benches compare with, each a process of its own."""
