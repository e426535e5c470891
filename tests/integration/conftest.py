"""A small invented shop: two tastes, six weeks, files as a stranger would export them."""

import csv
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from promosvc import config, pipeline
from promosvc.config import Config
from promosvc.serving import Server

MAPPING = """
[source]
name = "small-shop"
timezone = "Europe/Berlin"
currency = "EUR"

[[events]]
files = ["orders*.csv"]

[events.columns]
event_name = { value = "purchase" }
user_id = "customer"
item_id = "sku"
event_at = "time"
order_id = "order"
quantity = "units"
amount = "paid"

[[items]]
files = ["products*.csv"]

[items.columns]
item_id = "sku"
title = "name"
category = "shelf"
unit_price = "price"
"""


def write_shop(folder: Path) -> None:
    """Write orders.csv, products.csv and shop.toml. Tea drinkers buy tea, gardeners buy tools."""
    randomness = random.Random(7)
    shelves = {"tea": [f"tea-{n}" for n in range(12)], "tools": [f"tool-{n}" for n in range(12)]}
    with (folder / "products.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["sku", "name", "shelf", "price"])
        for shelf, skus in shelves.items():
            out.writerows(
                [sku, sku.replace("-", " no. "), shelf, f"{n + 1}.50"] for n, sku in enumerate(skus)
            )
    begin = datetime(2024, 1, 1, 9)
    rows = []
    for customer in range(40):
        favourite, other = ("tea", "tools") if customer % 2 == 0 else ("tools", "tea")
        for _ in range(8):
            at = begin + timedelta(minutes=randomness.randrange(42 * 24 * 60))
            for _ in range(randomness.randint(1, 4)):
                shelf = favourite if randomness.random() < 0.9 else other
                rows.append((at, f"c{customer:02}", randomness.choice(shelves[shelf])))
    rows.sort()
    with (folder / "orders.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["order", "customer", "sku", "time", "units", "paid"])
        out.writerows(
            [f"o{number}", customer, sku, f"{at:%Y-%m-%d %H:%M:%S}", 1, "3.20"]
            for number, (at, customer, sku) in enumerate(rows)
        )
    (folder / "shop.toml").write_text(MAPPING)


@pytest.fixture(scope="session")
def shop_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shop's files."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    return folder


@pytest.fixture(scope="session")
def shop_data(shop_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the shop imported and two snapshots; the one of all data is published."""
    folder = tmp_path_factory.mktemp("data")
    data = config.load(flags={"data.directory": folder}, environment={}).data
    pipeline.import_files(
        data.database,
        pipeline.Mapping.load(shop_files / "shop.toml"),
        [shop_files / "orders.csv"],
        [shop_files / "products.csv"],
    )
    pipeline.build(data.database, data.snapshots, until=datetime(2024, 2, 1))
    pipeline.build(data.database, data.snapshots)
    return folder


def shop_config(data: Path) -> Config:
    """A configuration on a data folder: any free port, the clock at the data's end, quick polling."""
    return config.load(
        flags={
            "data.directory": data,
            "server.port": 0,
            "server.workers": 1,
            "clock.start": "watermark",
            "snapshots.poll_ms": 20,
        },
        environment={},
    )


@pytest.fixture
def serve_shop(shop_data: Path) -> Iterator[Callable[[], str]]:
    """Start a native server on the shop; it is stopped after the test."""
    servers = []

    def start() -> str:
        server = Server(shop_config(shop_data))
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop(5)
