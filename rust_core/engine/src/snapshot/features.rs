//! `features/<view>.arrow`: one row for each entity, fixed-size f32 rows with status bytes.

use arrow_buffer::ScalarBuffer;

use super::arrow_file::wrong_value;
use super::arrow_schema::{ColumnSpec, ColumnType, Number};
use super::columns::TextColumn;
use super::files::Files;
use super::manifest::FeatureViewSpec;
use crate::error::Result;
use crate::types::{EntityKind, FeatureStatus, TimeUs};

/// All feature views, by name.
#[derive(Debug)]
pub struct Features {
    /// The views; positions are those of `FeatureFrame::view`.
    pub views: Vec<FeatureView>,
}

/// One view's rows.
#[derive(Debug)]
pub struct FeatureView {
    /// Name, entity kind, time to live and features.
    pub spec: FeatureViewSpec,
    entity_ids: TextColumn,
    /// Only for `user_category`.
    categories: Option<TextColumn>,
    event_at_us: ScalarBuffer<i64>,
    values: ScalarBuffer<f32>,
    statuses: ScalarBuffer<u8>,
}

/// The row of one entity.
#[derive(Clone, Copy, Debug)]
pub struct FeatureRow<'a> {
    /// When the values became true.
    pub event_at: TimeUs,
    /// One for each feature.
    pub values: &'a [f32],
    /// One for each feature: 1 PRESENT, 2 MISSING, 4 IMPUTED.
    pub statuses: &'a [u8],
}

/// Reads and checks all views.
pub(super) fn read(files: &Files) -> Result<Features> {
    let specs = &files.manifest.feature_views;
    let views = specs
        .iter()
        .map(|spec| read_view(files, spec))
        .collect::<Result<_>>()?;
    Ok(Features { views })
}

fn read_view(files: &Files, spec: &FeatureViewSpec) -> Result<FeatureView> {
    let width = spec.features.len();
    let has_category = match spec.entity {
        EntityKind::UserCategory => true,
        EntityKind::User | EntityKind::Item => false,
    };
    let mut columns = vec![ColumnSpec::new("entity_id", ColumnType::Text)];
    if has_category {
        columns.push(ColumnSpec::new("category", ColumnType::Text));
    }
    columns.extend([
        ColumnSpec::new("event_at_us", ColumnType::Int64),
        ColumnSpec::new("value", ColumnType::Fixed(Number::F32, width)),
        ColumnSpec::new("status", ColumnType::Fixed(Number::U8, width)),
    ]);
    let mut arrow = files.arrow(&spec.file, columns)?;
    let view = FeatureView {
        spec: spec.clone(),
        entity_ids: arrow.text()?,
        categories: has_category.then(|| arrow.text()).transpose()?,
        event_at_us: arrow.int64s()?,
        values: arrow.fixed_lists()?,
        statuses: arrow.fixed_lists()?,
    };
    arrow.finish()?;
    check_keys(&view)?;
    check_values(&view)?;
    Ok(view)
}

fn check_keys(view: &FeatureView) -> Result<()> {
    let wrong_row = match &view.categories {
        None => view.entity_ids.first_wrong_id(),
        Some(_) => (0..view.len()).find(|&row| {
            view.entity_ids.get(row).is_empty() || (row > 0 && view.key(row - 1) >= view.key(row))
        }),
    };
    match wrong_row {
        None => Ok(()),
        Some(row) => Err(wrong_value(
            &view.spec.file,
            "entity_id",
            format!("row {row} is empty or not after the row before"),
        )),
    }
}

fn check_values(view: &FeatureView) -> Result<()> {
    let width = view.spec.features.len();
    for (position, (&value, &status)) in view.values.iter().zip(view.statuses.iter()).enumerate() {
        let feature = &view.spec.features[position % width];
        let fault = if !value.is_finite() {
            Some("is not finite")
        } else if status == FeatureStatus::Missing as u8 {
            (value != 0.0).then_some("is MISSING and not 0")
        } else if status != FeatureStatus::Present as u8 && status != FeatureStatus::Imputed as u8 {
            Some("has a status that is not 1, 2 or 4")
        } else {
            let is_code =
                value >= 0.0 && value.fract() == 0.0 && (value as usize) < feature.dictionary.len();
            let is_wrong = !feature.dictionary.is_empty() && !is_code;
            is_wrong.then_some("is no index into its dictionary")
        };
        if let Some(fault) = fault {
            return Err(wrong_value(
                &view.spec.file,
                "value",
                format!(
                    "{:?} of row {} is {value} with status {status}: it {fault}",
                    feature.name,
                    position / width
                ),
            ));
        }
    }
    Ok(())
}

impl Features {
    /// Position of the view with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.views
            .binary_search_by(|view| view.spec.name.as_str().cmp(name))
            .ok()
    }
}

impl FeatureView {
    /// How many entities have a row.
    pub fn len(&self) -> usize {
        self.entity_ids.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row of an entity; `category` is ignored but for `user_category`. Binary search.
    pub fn find(&self, entity_id: &str, category: &str) -> Option<FeatureRow<'_>> {
        let row = match &self.categories {
            None => self.entity_ids.find_sorted(entity_id)?,
            Some(_) => {
                let (mut low, mut high) = (0, self.len());
                while low < high {
                    let middle = low + (high - low) / 2;
                    if self.key(middle) < (entity_id, category) {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                let is_found = low < self.len() && self.key(low) == (entity_id, category);
                is_found.then_some(low)?
            }
        };
        Some(self.row(row))
    }

    fn key(&self, row: usize) -> (&str, &str) {
        let category = self
            .categories
            .as_ref()
            .map_or("", |categories| categories.get(row));
        (self.entity_ids.get(row), category)
    }

    fn row(&self, row: usize) -> FeatureRow<'_> {
        let width = self.spec.features.len();
        FeatureRow {
            event_at: TimeUs(self.event_at_us[row]),
            values: &self.values[row * width..(row + 1) * width],
            statuses: &self.statuses[row * width..(row + 1) * width],
        }
    }
}
