//! The columns of an Arrow file: what the format wants, and whether a file has it.

use arrow_buffer::ArrowNativeType;
use arrow_ipc::{Endianness, Field, Footer, Precision, Type};

use crate::error::{Error, Result};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Text,
    Bool,
    Int32,
    Int64,
    UInt64,
    List(Number),
    /// So many numbers in each row.
    Fixed(Number, usize),
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    U8,
    U32,
    I64,
    F32,
}

/// A column as the format wants it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnSpec {
    pub(super) name: &'static str,
    pub(super) column_type: ColumnType,
    pub(super) is_nullable: bool,
}

impl ColumnSpec {
    /// A column without nulls.
    pub(super) const fn new(name: &'static str, column_type: ColumnType) -> Self {
        Self {
            name,
            column_type,
            is_nullable: false,
        }
    }

    /// A column that may have nulls.
    pub(super) const fn nullable(name: &'static str, column_type: ColumnType) -> Self {
        Self {
            name,
            column_type,
            is_nullable: true,
        }
    }
}

/// Numbers that lists hold.
pub(super) trait ListValue: ArrowNativeType {
    /// Which.
    const NUMBER: Number;
}

impl ListValue for u8 {
    const NUMBER: Number = Number::U8;
}

impl ListValue for u32 {
    const NUMBER: Number = Number::U32;
}

impl ListValue for i64 {
    const NUMBER: Number = Number::I64;
}

impl ListValue for f32 {
    const NUMBER: Number = Number::F32;
}

/// Checks names, types, order and nullability of all columns.
pub(super) fn check_schema(file: &str, footer: &Footer, columns: &[ColumnSpec]) -> Result<()> {
    let mismatch = |what: String| Error::data_loss(file, "SCHEMA_MISMATCH", what);
    let schema = footer
        .schema()
        .ok_or_else(|| mismatch("it has no schema".into()))?;
    if schema.endianness() != Endianness::Little {
        return Err(mismatch("it is not little-endian".into()));
    }
    if footer
        .dictionaries()
        .is_some_and(|dictionaries| !dictionaries.is_empty())
    {
        return Err(mismatch("it has dictionaries".into()));
    }
    let fields: Vec<Field> = schema.fields().into_iter().flatten().collect();
    if fields.len() != columns.len() {
        return Err(mismatch(format!(
            "it has {} columns; {} were expected",
            fields.len(),
            columns.len()
        )));
    }
    for (position, (field, column)) in fields.iter().zip(columns).enumerate() {
        let name = field.name().unwrap_or("");
        if name != column.name {
            return Err(mismatch(format!(
                "column {position} is {name:?}; {:?} was expected",
                column.name
            )));
        }
        if field.nullable() != column.is_nullable {
            let wanted = if column.is_nullable {
                "nullable"
            } else {
                "not nullable"
            };
            return Err(mismatch(format!(
                "column {name:?} must be declared {wanted}"
            )));
        }
        if field.dictionary().is_some() || !has_type(field, column.column_type) {
            return Err(mismatch(format!(
                "column {name:?} is of another type than {:?}",
                column.column_type
            )));
        }
    }
    Ok(())
}

fn has_type(field: &Field, wanted: ColumnType) -> bool {
    match wanted {
        ColumnType::Text => field.type_type() == Type::Utf8,
        ColumnType::Bool => field.type_type() == Type::Bool,
        ColumnType::Int32 => is_int(field, 32, true),
        ColumnType::Int64 => is_int(field, 64, true),
        ColumnType::UInt64 => is_int(field, 64, false),
        ColumnType::List(number) => field.type_type() == Type::List && has_one_child(field, number),
        ColumnType::Fixed(number, width) => {
            let found = field.type_as_fixed_size_list().map(|list| list.listSize());
            found.and_then(|found| usize::try_from(found).ok()) == Some(width)
                && has_one_child(field, number)
        }
    }
}

/// The child's own name and nullability are the writer's; nulls in it are refused when it is read.
fn has_one_child(field: &Field, number: Number) -> bool {
    let Some(children) = field.children().filter(|children| children.len() == 1) else {
        return false;
    };
    let child = children.get(0);
    child.dictionary().is_none()
        && match number {
            Number::U8 => is_int(&child, 8, false),
            Number::U32 => is_int(&child, 32, false),
            Number::I64 => is_int(&child, 64, true),
            Number::F32 => child
                .type_as_floating_point()
                .is_some_and(|float| float.precision() == Precision::SINGLE),
        }
}

fn is_int(field: &Field, bits: i32, is_signed: bool) -> bool {
    field
        .type_as_int()
        .is_some_and(|int| int.bitWidth() == bits && int.is_signed() == is_signed)
}
