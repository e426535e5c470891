//! `items.arrow`: the catalogue as of the snapshot.

use arrow_buffer::ScalarBuffer;

use super::arrow_schema::{ColumnSpec, ColumnType};
use super::columns::TextColumn;
use super::files::Files;
use crate::error::Result;
use crate::types::{ItemIdx, Money};

pub(super) const FILE: &str = "items.arrow";

/// The catalogue, by item id ascending.
#[derive(Debug)]
pub struct Items {
    ids: TextColumn,
    kinds: TextColumn,
    categories: TextColumn,
    titles: TextColumn,
    unit_prices_minor: ScalarBuffer<i64>,
    currencies: TextColumn,
    has_price: Vec<bool>,
    stocks: ScalarBuffer<i64>,
    has_stock: Vec<bool>,
    can_be_had: Vec<bool>,
}

/// Reads and checks the catalogue.
pub(super) fn read(files: &Files) -> Result<Items> {
    let mut arrow = files.arrow(
        FILE,
        vec![
            ColumnSpec::new("item_id", ColumnType::Text),
            ColumnSpec::new("kind", ColumnType::Text),
            ColumnSpec::new("category", ColumnType::Text),
            ColumnSpec::new("title", ColumnType::Text),
            ColumnSpec::nullable("unit_price_minor", ColumnType::Int64),
            ColumnSpec::nullable("currency", ColumnType::Text),
            ColumnSpec::nullable("stock", ColumnType::Int64),
            ColumnSpec::new("is_available", ColumnType::Bool),
        ],
    )?;
    let ids = arrow.text()?;
    let kinds = arrow.text()?;
    let categories = arrow.text()?;
    let titles = arrow.text()?;
    let (unit_prices_minor, mut has_price) = arrow.nullable_int64s()?;
    let (currencies, has_currency) = arrow.nullable_text()?;
    let (stocks, has_stock) = arrow.nullable_int64s()?;
    let can_be_had = arrow.bools()?;
    if let Some(row) = ids.first_wrong_id() {
        return Err(arrow.wrong_value(
            "item_id",
            format!("row {row} is empty or not after the row before"),
        ));
    }
    for row in 0..arrow.rows() {
        let currency = currencies.get(row);
        if has_currency[row]
            && !(currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(arrow.wrong_value(
                "currency",
                format!("row {row} is {currency:?}; three capital letters were expected"),
            ));
        }
        if has_price[row] && unit_prices_minor[row] < 0 {
            return Err(arrow.wrong_value("unit_price_minor", format!("row {row} is negative")));
        }
        if has_stock[row] && stocks[row] < 0 {
            return Err(arrow.wrong_value("stock", format!("row {row} is negative")));
        }
        // An amount without a currency is not a price.
        has_price[row] &= has_currency[row];
    }
    arrow.finish()?;
    Ok(Items {
        ids,
        kinds,
        categories,
        titles,
        unit_prices_minor,
        currencies,
        has_price,
        stocks,
        has_stock,
        can_be_had,
    })
}

impl Items {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item with this id; binary search.
    pub fn find(&self, item_id: &str) -> Option<ItemIdx> {
        self.ids.find_sorted(item_id).map(|row| ItemIdx(row as u32))
    }

    /// The id.
    pub fn id(&self, item: ItemIdx) -> &str {
        self.ids.get(item.at())
    }

    /// What it is: product, post, ad, course, ...
    pub fn kind(&self, item: ItemIdx) -> &str {
        self.kinds.get(item.at())
    }

    /// The category; may be empty.
    pub fn category(&self, item: ItemIdx) -> &str {
        self.categories.get(item.at())
    }

    /// The name for people; may be empty.
    pub fn title(&self, item: ItemIdx) -> &str {
        self.titles.get(item.at())
    }

    /// Price of one unit, if known.
    pub fn unit_price(&self, item: ItemIdx) -> Option<Money<'_>> {
        let is_known = self.has_price.get(item.at()).copied().unwrap_or(false);
        is_known.then(|| Money {
            amount_minor: self.unit_prices_minor[item.at()],
            currency: self.currencies.get(item.at()),
        })
    }

    /// Pieces that can be had, if known.
    pub fn stock(&self, item: ItemIdx) -> Option<i64> {
        let is_known = self.has_stock.get(item.at()).copied().unwrap_or(false);
        is_known.then(|| self.stocks[item.at()])
    }

    /// Whether it can be had at all, whatever the stock.
    pub fn can_be_had(&self, item: ItemIdx) -> bool {
        self.can_be_had.get(item.at()).copied().unwrap_or(false)
    }

    /// Whether it can be had now: at all, and the stock is unknown or above 0.
    pub fn is_available(&self, item: ItemIdx) -> bool {
        self.can_be_had(item) && self.stock(item).is_none_or(|stock| stock > 0)
    }
}
