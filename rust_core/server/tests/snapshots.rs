//! Publications while the server runs.

mod support;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::rc::Rc;

use support::snapshot::{ItemRow, SnapshotRows, random};
use support::wire::promosvc::v1 as wire;
use support::{
    Client, RECOMMEND, WATERMARK_US, eventually, is_serving, publish, run, start, status,
};

/// A snapshot whose every item has this title, so that a torn answer would show.
fn titled(title: &str, second: i64) -> SnapshotRows {
    let mut rows = random::example();
    rows.watermark_at_us = WATERMARK_US + second * 1_000_000;
    for item in &mut rows.items {
        *item = ItemRow {
            title: title.to_owned(),
            ..item.clone()
        };
    }
    rows
}

#[test]
fn a_swap_under_load_tears_no_answer_and_fails_no_call() {
    let (server, root) = start(|config| config["server"]["workers"] = 2.into());
    let directories: Vec<_> = (1..=6)
        .map(|second| titled(&format!("{second}"), second).write(root.path()))
        .collect();
    let names: Vec<String> = directories
        .iter()
        .map(|directory| {
            directory
                .file_name()
                .expect("a name")
                .to_str()
                .expect("UTF-8")
                .to_owned()
        })
        .collect();
    run(async {
        let is_over = Rc::new(Cell::new(false));
        let local = tokio::task::LocalSet::new();
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let is_over = Rc::clone(&is_over);
                let names = names.clone();
                let address = server.address();
                local.spawn_local(async move {
                    let client = Client::connect(address).await;
                    let mut seen = BTreeSet::new();
                    let mut last = None;
                    while !is_over.get() {
                        let answer: wire::RecommendResponse = client
                            .call(RECOMMEND, &wire::RecommendRequest::default())
                            .await
                            .expect("no call fails");
                        let at = names.iter().position(|name| *name == answer.snapshot_id);
                        assert!(at >= last, "snapshots never go back: {last:?} then {at:?}");
                        last = at;
                        if let Some(at) = at {
                            let title = (at + 1).to_string();
                            assert!(answer.items.iter().all(|item| item.title == title));
                        }
                        seen.insert(answer.snapshot_id);
                    }
                    seen.len()
                })
            })
            .collect();
        local
            .run_until(async {
                let client = Client::connect(server.address()).await;
                for (directory, name) in directories.iter().zip(&names) {
                    publish(root.path(), directory);
                    eventually("the new snapshot is taken", async || {
                        status(&client)
                            .await
                            .snapshot
                            .is_some_and(|snapshot| snapshot.snapshot_id == *name)
                    })
                    .await;
                    // Each caller gets to see it.
                    let _: wire::RecommendResponse = client
                        .call(RECOMMEND, &wire::RecommendRequest::default())
                        .await
                        .expect("an answer");
                }
                is_over.set(true);
                for caller in callers {
                    assert!(caller.await.expect("no panic") > 1, "the load saw swaps");
                }
            })
            .await;
    });
}

#[test]
fn a_damaged_snapshot_is_refused_by_name_and_the_running_one_stays() {
    let (server, root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let before = status(&client)
            .await
            .snapshot
            .expect("a snapshot")
            .snapshot_id;
        let directory = titled("far", 1).write(root.path());
        let items = directory.join("items.arrow");
        let mut bytes = fs::read(&items).expect("reads");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&items, &bytes).expect("writes");
        publish(root.path(), &directory);
        eventually("it is refused", async || {
            let refusal = status(&client).await.snapshot_refusal;
            let name = directory
                .file_name()
                .expect("a name")
                .to_str()
                .expect("UTF-8");
            refusal.contains(name) && refusal.contains("items.arrow")
        })
        .await;
        assert!(is_serving(&client).await);
        let answer: wire::RecommendResponse = client
            .call(RECOMMEND, &wire::RecommendRequest::default())
            .await
            .expect("an answer");
        assert_eq!(answer.snapshot_id, before);

        // A good one afterwards is taken, and the refusal is over.
        publish(root.path(), &titled("near", 2).write(root.path()));
        eventually("the good one is taken", async || {
            let status = status(&client).await;
            status.snapshot_refusal.is_empty()
                && status
                    .snapshot
                    .is_some_and(|snapshot| snapshot.snapshot_id != before)
        })
        .await;
    });
}

#[test]
fn a_current_that_names_nothing_is_refused() {
    let (server, root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        for text in [
            "far\n",
            "20180101T000000Z-0123456789abcdef\n",
            "../../etc\n",
        ] {
            fs::write(root.path().join("CURRENT"), text).expect("writes");
            eventually("it is refused", async || {
                !status(&client).await.snapshot_refusal.is_empty()
            })
            .await;
            assert!(is_serving(&client).await, "{text:?}");
        }
    });
}
