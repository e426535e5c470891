//! The event log for the offline plane: recorded events and facts of items as Arrow tables.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::types::EventKey;
use promosvc_server::storage::LogLock;
use promosvc_server::{EventRow, ItemRow, LogRow, read_log_rows};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrow::ArrowTable;
use crate::errors::{to_python, wrong};

/// By what an event is known again.
#[pyfunction]
pub(crate) fn event_key<'py>(
    py: Python<'py>,
    source: &str,
    event_name: &str,
    event_id: &str,
) -> Bound<'py, PyBytes> {
    let EventKey(key) = EventKey::new(source, event_name, event_id);
    PyBytes::new(py, &key.to_be_bytes())
}

/// PID of the process that writes a log.
#[pyfunction]
pub(crate) fn log_holder(py: Python<'_>, directory: &str) -> PyResult<Option<u32>> {
    py.detach(|| LogLock::holder(Path::new(directory)))
        .map_err(|error| to_python(py, error))
}

/// Recorded events, facts of items, and the position after the last record that was read.
#[pyfunction]
#[pyo3(signature = (directory, from_position, until_position, *, entries_max))]
pub(crate) fn read_event_log(
    py: Python<'_>,
    directory: &str,
    from_position: u64,
    until_position: Option<u64>,
    entries_max: u64,
) -> PyResult<(ArrowTable, ArrowTable, u64)> {
    py.detach(|| {
        if entries_max == 0 {
            return Err(wrong(
                "entries_max",
                "OUT_OF_RANGE",
                "is 0; it must be at least 1",
            ));
        }
        let (mut events, mut items) = (Events::default(), Items::default());
        let directory = Path::new(directory);
        let next = read_log_rows(
            directory,
            from_position,
            until_position,
            entries_max,
            |row| match row {
                LogRow::Event(event) => events.push(&event),
                LogRow::Item(item) => items.push(&item),
            },
        )?;
        Ok((events.finish()?, items.finish()?, next))
    })
    .map_err(|error| to_python(py, error))
}

/// Recorded events, column by column.
#[derive(Default)]
struct Events {
    position: UInt64Builder,
    recorded_at_us: Int64Builder,
    source: StringBuilder,
    event_id: StringBuilder,
    event_name: StringBuilder,
    user_id: StringBuilder,
    item_id: StringBuilder,
    event_at_us: Int64Builder,
    order_id: StringBuilder,
    quantity: Float64Builder,
    amount_minor: Int64Builder,
    discount_minor: Int64Builder,
    coupon_discount_minor: Int64Builder,
    currency: StringBuilder,
    rating: Float64Builder,
    search_term: StringBuilder,
    promotion_id: StringBuilder,
    exposed_by: StringBuilder,
    attributes: StringBuilder,
}

impl Events {
    fn push(&mut self, row: &EventRow<'_>) {
        let EventRow {
            position,
            recorded_at,
            source,
            event_id,
            event_name,
            user_id,
            item_id,
            event_at,
            order_id,
            quantity,
            amount_minor,
            discount_minor,
            coupon_discount_minor,
            currency,
            rating,
            search_term,
            promotion_id,
            exposed_by,
            attributes,
        } = row;
        self.position.append_value(*position);
        self.recorded_at_us.append_value(recorded_at.0);
        self.source.append_value(source);
        self.event_id.append_value(event_id);
        self.event_name.append_value(event_name);
        self.user_id.append_value(user_id);
        self.item_id.append_option(*item_id);
        self.event_at_us.append_value(event_at.0);
        self.order_id.append_option(*order_id);
        self.quantity.append_option(*quantity);
        self.amount_minor.append_option(*amount_minor);
        self.discount_minor.append_option(*discount_minor);
        self.coupon_discount_minor
            .append_option(*coupon_discount_minor);
        self.currency.append_option(*currency);
        self.rating.append_option(*rating);
        self.search_term.append_option(*search_term);
        self.promotion_id.append_option(*promotion_id);
        self.exposed_by.append_option(exposed_by.as_deref());
        self.attributes.append_option(attributes.as_deref());
    }

    fn finish(mut self) -> Result<ArrowTable> {
        table(vec![
            ("position", false, Arc::new(self.position.finish())),
            (
                "recorded_at_us",
                false,
                Arc::new(self.recorded_at_us.finish()),
            ),
            ("source", false, Arc::new(self.source.finish())),
            ("event_id", false, Arc::new(self.event_id.finish())),
            ("event_name", false, Arc::new(self.event_name.finish())),
            ("user_id", false, Arc::new(self.user_id.finish())),
            ("item_id", true, Arc::new(self.item_id.finish())),
            ("event_at_us", false, Arc::new(self.event_at_us.finish())),
            ("order_id", true, Arc::new(self.order_id.finish())),
            ("quantity", true, Arc::new(self.quantity.finish())),
            ("amount_minor", true, Arc::new(self.amount_minor.finish())),
            (
                "discount_minor",
                true,
                Arc::new(self.discount_minor.finish()),
            ),
            (
                "coupon_discount_minor",
                true,
                Arc::new(self.coupon_discount_minor.finish()),
            ),
            ("currency", true, Arc::new(self.currency.finish())),
            ("rating", true, Arc::new(self.rating.finish())),
            ("search_term", true, Arc::new(self.search_term.finish())),
            ("promotion_id", true, Arc::new(self.promotion_id.finish())),
            ("exposed_by", true, Arc::new(self.exposed_by.finish())),
            ("attributes", true, Arc::new(self.attributes.finish())),
        ])
    }
}

/// Facts of items, column by column.
#[derive(Default)]
struct Items {
    position: UInt64Builder,
    recorded_at_us: Int64Builder,
    item_id: StringBuilder,
    kind: StringBuilder,
    title: StringBuilder,
    category: StringBuilder,
    brand: StringBuilder,
    unit_price_minor: Int64Builder,
    currency: StringBuilder,
    stock: Int64Builder,
    is_available: BooleanBuilder,
}

impl Items {
    fn push(&mut self, row: &ItemRow<'_>) {
        let ItemRow {
            position,
            recorded_at,
            item_id,
            kind,
            title,
            category,
            brand,
            unit_price_minor,
            currency,
            stock,
            is_available,
        } = row;
        self.position.append_value(*position);
        self.recorded_at_us.append_value(recorded_at.0);
        self.item_id.append_value(item_id);
        self.kind.append_option(*kind);
        self.title.append_option(*title);
        self.category.append_option(*category);
        self.brand.append_option(*brand);
        self.unit_price_minor.append_option(*unit_price_minor);
        self.currency.append_option(*currency);
        self.stock.append_option(*stock);
        self.is_available.append_option(*is_available);
    }

    fn finish(mut self) -> Result<ArrowTable> {
        table(vec![
            ("position", false, Arc::new(self.position.finish())),
            (
                "recorded_at_us",
                false,
                Arc::new(self.recorded_at_us.finish()),
            ),
            ("item_id", false, Arc::new(self.item_id.finish())),
            ("kind", true, Arc::new(self.kind.finish())),
            ("title", true, Arc::new(self.title.finish())),
            ("category", true, Arc::new(self.category.finish())),
            ("brand", true, Arc::new(self.brand.finish())),
            (
                "unit_price_minor",
                true,
                Arc::new(self.unit_price_minor.finish()),
            ),
            ("currency", true, Arc::new(self.currency.finish())),
            ("stock", true, Arc::new(self.stock.finish())),
            ("is_available", true, Arc::new(self.is_available.finish())),
        ])
    }
}

/// A table of columns with their names and whether they may be null.
fn table(columns: Vec<(&str, bool, ArrayRef)>) -> Result<ArrowTable> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, nullable, column)| Field::new(*name, column.data_type().clone(), *nullable))
        .collect();
    let arrays = columns.into_iter().map(|(_, _, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map(ArrowTable::new)
        .map_err(|error| Error::new(ErrorKind::Internal, "ANSWER_MALFORMED", error.to_string()))
}
