//! Writes the Arrow files of a snapshot.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Int32Array, Int64Array, ListArray,
    PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray, UInt8Array, UInt64Array,
    types::ArrowPrimitiveType,
};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{Field, Schema};

use super::{SnapshotRows, ViewRows};

/// Name, values and whether it is declared nullable.
pub type Column = (&'static str, ArrayRef, bool);

/// Writes every Arrow file of a snapshot.
pub fn write_all(rows: &SnapshotRows, directory: &Path) {
    write(&directory.join("items.arrow"), items(rows));
    let users: ArrayRef = Arc::new(StringArray::from_iter_values(&rows.users));
    write(
        &directory.join("users.arrow"),
        vec![("user_id", users, false)],
    );
    write(&directory.join("history.arrow"), history(rows));
    write(
        &directory.join("item_neighbours.arrow"),
        neighbours(&rows.item_neighbours),
    );
    write(
        &directory.join("user_neighbours.arrow"),
        neighbours(&rows.user_neighbours),
    );
    write(&directory.join("popular.arrow"), popular(rows));
    write(
        &directory.join("event_ids.arrow"),
        event_ids(&rows.event_ids),
    );
    for view in &rows.views {
        write(
            &directory.join(format!("features/{}.arrow", view.name)),
            features(view),
        );
    }
}

/// Writes one file with one record batch.
pub fn write(path: &Path, columns: Vec<Column>) {
    let field = |(name, values, is_nullable): &Column| {
        Field::new(*name, values.data_type().clone(), *is_nullable)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let rows = columns.first().map_or(0, |(_, values, _)| values.len());
    let values = columns.into_iter().map(|(_, values, _)| values).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema.clone(), values, &options).unwrap();
    let mut writer = FileWriter::try_new(File::create(path).unwrap(), &schema).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

/// Rows of an Arrow file as arrow-rs reads them; 0 for what is not Arrow or is damaged.
pub fn rows_of(bytes: &[u8]) -> usize {
    let read = || {
        let reader =
            arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None).ok()?;
        Some(
            reader
                .filter_map(|batch| Some(batch.ok()?.num_rows()))
                .sum(),
        )
    };
    // arrow-rs may panic on damaged files, which is why the engine does not use its reader.
    std::panic::catch_unwind(read).ok().flatten().unwrap_or(0)
}

/// A column of lists of numbers.
pub fn lists<T: ArrowPrimitiveType>(rows: &[Vec<T::Native>]) -> ArrayRef {
    let values = PrimitiveArray::<T>::from_iter_values(rows.iter().flatten().copied());
    let field = Arc::new(Field::new("item", T::DATA_TYPE, true));
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
    Arc::new(ListArray::new(field, offsets, Arc::new(values), None))
}

fn split<A: Copy, B: Copy>(rows: &[Vec<(A, B)>]) -> (Vec<Vec<A>>, Vec<Vec<B>>) {
    rows.iter().map(|row| row.iter().copied().unzip()).unzip()
}

pub fn items(rows: &SnapshotRows) -> Vec<Column> {
    let items = &rows.items;
    let text = |of: fn(&super::ItemRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(items.iter().map(of)))
    };
    let price = |item: &super::ItemRow| item.unit_price.as_ref().map(|(amount, _)| *amount);
    let currency = |item: &super::ItemRow| {
        item.unit_price
            .as_ref()
            .map(|(_, currency)| currency.clone())
    };
    vec![
        ("item_id", text(|item| &item.item_id), false),
        ("kind", text(|item| &item.kind), false),
        ("category", text(|item| &item.category), false),
        ("title", text(|item| &item.title), false),
        (
            "unit_price_minor",
            Arc::new(Int64Array::from_iter(items.iter().map(price))),
            true,
        ),
        (
            "currency",
            Arc::new(StringArray::from_iter(items.iter().map(currency))),
            true,
        ),
        (
            "stock",
            Arc::new(Int64Array::from_iter(items.iter().map(|item| item.stock))),
            true,
        ),
        (
            "is_available",
            Arc::new(BooleanArray::from_iter(
                items.iter().map(|item| Some(item.is_available)),
            )),
            false,
        ),
    ]
}

pub fn history(rows: &SnapshotRows) -> Vec<Column> {
    let column = |of: fn(&super::HistoryRow) -> i64| -> Vec<Vec<i64>> {
        rows.history
            .iter()
            .map(|row| row.iter().map(of).collect())
            .collect()
    };
    let as_u32 = |rows: Vec<Vec<i64>>| -> Vec<Vec<u32>> {
        rows.into_iter()
            .map(|row| row.into_iter().map(|value| value as u32).collect())
            .collect()
    };
    let events: Vec<Vec<u8>> = rows
        .history
        .iter()
        .map(|row| row.iter().map(|entry| entry.event).collect())
        .collect();
    use arrow_array::types::{Int64Type, UInt8Type, UInt32Type};
    vec![
        (
            "item",
            lists::<UInt32Type>(&as_u32(column(|entry| entry.item.into()))),
            false,
        ),
        ("event", lists::<UInt8Type>(&events), false),
        (
            "last_at_us",
            lists::<Int64Type>(&column(|entry| entry.last_at_us)),
            false,
        ),
        (
            "count",
            lists::<UInt32Type>(&as_u32(column(|entry| entry.count.into()))),
            false,
        ),
    ]
}

pub fn neighbours(rows: &[Vec<(u32, f32)>]) -> Vec<Column> {
    use arrow_array::types::{Float32Type, UInt32Type};
    let (neighbours, similarities) = split(rows);
    vec![
        ("neighbour", lists::<UInt32Type>(&neighbours), false),
        ("similarity", lists::<Float32Type>(&similarities), false),
    ]
}

pub fn popular(rows: &SnapshotRows) -> Vec<Column> {
    use arrow_array::types::{Float32Type, UInt32Type};
    let (items, scores) = split(&rows.popular);
    vec![
        (
            "window_days",
            Arc::new(Int32Array::from(vec![1, 7, 30])),
            false,
        ),
        ("item", lists::<UInt32Type>(&items), false),
        ("score", lists::<Float32Type>(&scores), false),
    ]
}

pub fn event_ids(keys: &[u128]) -> Vec<Column> {
    let half = |shift: u32| -> ArrayRef {
        let halves = keys.iter().map(|key| (key >> shift) as u64);
        Arc::new(UInt64Array::from_iter_values(halves))
    };
    vec![("high", half(64), false), ("low", half(0), false)]
}

pub fn features(view: &ViewRows) -> Vec<Column> {
    let width = view.features.len() as i32;
    let values = view.rows.iter().flat_map(|row| row.values.iter().copied());
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
    let statuses = view
        .rows
        .iter()
        .flat_map(|row| row.statuses.iter().copied());
    let statuses: ArrayRef = Arc::new(UInt8Array::from_iter_values(statuses));
    let fixed = |values: ArrayRef| -> ArrayRef {
        let field = Arc::new(Field::new("item", values.data_type().clone(), true));
        let rows = view.rows.len();
        Arc::new(FixedSizeListArray::try_new_with_length(field, width, values, None, rows).unwrap())
    };
    let ids = StringArray::from_iter_values(view.rows.iter().map(|row| &row.entity_id));
    let mut columns: Vec<Column> = vec![("entity_id", Arc::new(ids), false)];
    if view.entity == "user_category" {
        let categories = StringArray::from_iter_values(view.rows.iter().map(|row| &row.category));
        columns.push(("category", Arc::new(categories), false));
    }
    let event_at = Int64Array::from_iter_values(view.rows.iter().map(|row| row.event_at_us));
    columns.push(("event_at_us", Arc::new(event_at), false));
    columns.push(("value", fixed(values), false));
    columns.push(("status", fixed(statuses), false));
    columns
}
