//! All-pairs neighbours: one sparse row of X'X at a time, into a dense accumulator.
//!
//! For column i and each of its users u: `accumulator[j] += x_ui * x_uj` over the items j of u. Then the accumulator is
//! finished into similarities and the best are kept. Two ways to read it back:
//! - *scan*, when i meets a good part of all columns: the maximum of each block of 32 is found while finishing, the
//!   `top_n`-th largest maximum is a floor that at least `top_n` scores reach, and only blocks that reach it are looked into;
//! - *touched list*, when i meets few: the positions that left 0 are noted as they do.
//!
//! Both choose by the same total order, so the choice between them is about speed only. Threads take blocks of rows from
//! one counter; each row is computed whole by one of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::similarity::matrix::{Csr, CsrView};
use crate::similarity::measure::{Finish, Similarity};
use crate::similarity::scan::{BLOCK, finish_blocks};
use crate::similarity::select::{TopN, pack};
use crate::similarity::wrong;
use crate::types::prefetch;

/// Most neighbours kept for one row; the snapshot format allows as many.
pub const TOP_N_MAX: usize = 1_000;
/// Most threads; more than cores do not help.
pub const THREADS_MAX: usize = 1_024;

/// Rows that a thread takes at once: enough to make the counter cheap, few enough to share out the last ones.
const ROWS_AT_ONCE: usize = 16;
/// Users whose cells are fetched ahead: two take about as long to add up as the third cache takes to answer.
const ROWS_AHEAD: usize = 3;
/// A row that makes fewer multiply-adds than one in this many columns is read back by its touched list: noting a position costs
/// about as much as scanning eight.
const SCAN_SHARE: usize = 8;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeighbourOptions {
    /// The measure.
    pub similarity: Similarity,
    /// Most neighbours of each row, 1 to [`TOP_N_MAX`].
    pub top_n: usize,
    /// Pulls down similarities that rest on few; finite, ≥ 0. See [`Similarity`] for its place.
    pub shrinkage: f32,
    /// Threads; 0 is one for each core. The result does not depend on it.
    pub threads: usize,
}

/// The most similar columns of each column of `interactions` (users in rows, items in columns: item neighbours).
///
/// Row i of the answer holds i's neighbours: similarity descending, then index ascending; finite, > 0, never i itself.
/// Costs Σ n_u² multiply-adds and, for each thread, 4 bytes a column.
pub fn column_neighbours(interactions: &CsrView<'_>, options: &NeighbourOptions) -> Result<Csr> {
    check(options)?;
    all_pairs(interactions.transposed()?, interactions.rows(), options)
}

/// The most similar rows of each row of `interactions` (user neighbours): [`column_neighbours`] of the transpose.
pub fn row_neighbours(interactions: &CsrView<'_>, options: &NeighbourOptions) -> Result<Csr> {
    check(options)?;
    let turned = interactions.transposed()?;
    let rows = interactions.columns();
    let columns = turned.view(interactions.rows())?.transposed()?;
    all_pairs(columns, rows, options)
}

/// The same similarities from the other side: row h of the answer holds the rows that have h among their neighbours.
///
/// A row may be as long as there are rows, so only its best `row_max` (1 to [`TOP_N_MAX`]) are kept: similarity descending,
/// then index ascending. `neighbours` is square.
pub fn turned_neighbours(neighbours: &CsrView<'_>, row_max: usize) -> Result<Csr> {
    if !(1..=TOP_N_MAX).contains(&row_max) {
        return Err(wrong(
            "row_max",
            "OUT_OF_RANGE",
            format!("is {row_max}; it must be from 1 to {TOP_N_MAX}"),
        )
        .with("value", row_max)
        .with("limit", TOP_N_MAX));
    }
    let turned = neighbours.transposed()?;
    let mut top = TopN::new(row_max);
    let mut kept = Csr {
        indptr: vec![0],
        ..Csr::default()
    };
    for row in 0..turned.rows() {
        let (others, similarities) = turned.row(row);
        for (&other, &similarity) in others.iter().zip(similarities) {
            top.offer(similarity, other);
        }
        top.drain(|other, similarity| {
            kept.indices.push(other);
            kept.data.push(similarity);
        });
        kept.indptr.push(kept.indices.len() as i64);
    }
    Ok(kept)
}

fn check(options: &NeighbourOptions) -> Result<()> {
    let NeighbourOptions {
        similarity: _,
        top_n,
        shrinkage,
        threads,
    } = *options;
    if !(1..=TOP_N_MAX).contains(&top_n) {
        return Err(wrong(
            "top_n",
            "OUT_OF_RANGE",
            format!("is {top_n}; it must be from 1 to {TOP_N_MAX}"),
        )
        .with("value", top_n)
        .with("limit", TOP_N_MAX));
    }
    if !(shrinkage.is_finite() && shrinkage >= 0.0) {
        return Err(wrong(
            "shrinkage",
            "OUT_OF_RANGE",
            format!("is {shrinkage}; it must be finite and at least 0"),
        )
        .with("value", shrinkage));
    }
    check_threads(threads)
}

pub(super) fn check_threads(threads: usize) -> Result<()> {
    if threads > THREADS_MAX {
        return Err(wrong(
            "threads",
            "OUT_OF_RANGE",
            format!("is {threads}; it must be from 0 (one for each core) to {THREADS_MAX}"),
        )
        .with("value", threads)
        .with("limit", THREADS_MAX));
    }
    Ok(())
}

/// `columns` holds X' (a row for each column of X); `rows` is how many rows X has.
fn all_pairs(mut columns: Csr, rows: usize, options: &NeighbourOptions) -> Result<Csr> {
    let similarity = options.similarity;
    similarity.weigh(&mut columns, rows)?;
    let problem = Problem::new(&columns, rows, options);
    drop(columns);
    let count = problem.by_rank.rows();
    let top_n = options.top_n.min(count);
    let parts = in_parallel(options.threads, count, || {
        let mut worker = Worker::new(&problem, top_n);
        move |ranks: std::ops::Range<usize>, found: &mut Rows| worker.run(ranks, found)
    })?;
    Ok(join(count, parts))
}

/// X with its columns renumbered by falling popularity ("rank").
struct Problem {
    /// X': users and values of each rank.
    by_rank: Csr,
    /// X: where each user's cells begin.
    row_starts: Vec<usize>,
    /// X: cells of each user, ranks ascending. Rank and value lie side by side: one stream to fetch.
    cells: Vec<Cell>,
    /// The caller's index of each rank.
    original: Vec<u32>,
    /// What [`Finish`] needs of each rank.
    sizes: Vec<f32>,
    finish: Finish,
    needs_count: bool,
}

impl Problem {
    fn new(columns: &Csr, rows: usize, options: &NeighbourOptions) -> Self {
        let count = columns.rows();
        let length = |column: u32| columns.row(column as usize).0.len();
        let mut original: Vec<u32> = (0..count as u32).collect();
        original.sort_by_key(|&column| std::cmp::Reverse(length(column)));

        let mut by_rank = Csr {
            indptr: Vec::with_capacity(count + 1),
            indices: Vec::with_capacity(columns.indices.len()),
            data: Vec::with_capacity(columns.data.len()),
        };
        by_rank.indptr.push(0);
        for &column in &original {
            let (indices, data) = columns.row(column as usize);
            by_rank.indices.extend_from_slice(indices);
            by_rank.data.extend_from_slice(data);
            by_rank.indptr.push(by_rank.indices.len() as i64);
        }
        let sizes = (0..count)
            .map(|rank| {
                let values = by_rank.row(rank).1;
                options.similarity.column_size(options.shrinkage, values)
            })
            .collect();
        let (row_starts, cells) = cells_by_row(&by_rank, rows);
        Self {
            row_starts,
            cells,
            by_rank,
            original,
            sizes,
            finish: Finish::new(options.similarity, options.shrinkage),
            needs_count: options.similarity.needs_count(options.shrinkage),
        }
    }
}

impl Problem {
    fn row(&self, row: u32) -> &[Cell] {
        &self.cells[self.row_starts[row as usize]..self.row_starts[row as usize + 1]]
    }
}

/// One cell of X.
#[derive(Clone, Copy, Default)]
struct Cell {
    rank: u32,
    value: f32,
}

/// The transpose of `by_rank`: where rows begin, and their cells.
fn cells_by_row(by_rank: &Csr, rows: usize) -> (Vec<usize>, Vec<Cell>) {
    let mut starts = vec![0_usize; rows + 1];
    for &row in &by_rank.indices {
        starts[row as usize + 1] += 1;
    }
    for at in 0..rows {
        starts[at + 1] += starts[at];
    }
    let mut next = starts.clone();
    let mut cells = vec![Cell::default(); by_rank.indices.len()];
    for rank in 0..by_rank.rows() {
        let (row_indices, values) = by_rank.row(rank);
        for (&row, &value) in row_indices.iter().zip(values) {
            let at = &mut next[row as usize];
            cells[*at] = Cell {
                rank: rank as u32,
                value,
            };
            *at += 1;
        }
    }
    (starts, cells)
}

/// Rows that one thread has found, in the order in which it found them.
#[derive(Default)]
pub(super) struct Rows {
    /// Row and number of its entries.
    pub(super) lengths: Vec<(u32, u32)>,
    pub(super) indices: Vec<u32>,
    pub(super) data: Vec<f32>,
}

/// Shares out `0..count` among threads; each makes its own worker. Nothing outlives the call.
pub(super) fn in_parallel<W>(
    threads: usize,
    count: usize,
    make_worker: impl Fn() -> W + Sync,
) -> Result<Vec<Rows>>
where
    W: FnMut(std::ops::Range<usize>, &mut Rows),
{
    check_threads(threads)?;
    let wanted = match threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        wanted => wanted,
    };
    let threads = wanted.min(count.div_ceil(ROWS_AT_ONCE)).max(1);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut worker = make_worker();
        let mut found = Rows::default();
        loop {
            // Only the counter is shared, so no other memory needs ordering.
            let start = next.fetch_add(ROWS_AT_ONCE, Ordering::Relaxed);
            if start >= count {
                return found;
            }
            worker(start..count.min(start + ROWS_AT_ONCE), &mut found);
        }
    };
    if threads == 1 {
        return Ok(vec![work()]);
    }
    std::thread::scope(|scope| {
        let handles: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut parts = vec![work()];
        for handle in handles {
            let part = handle.join().map_err(|_| {
                Error::new(
                    crate::error::ErrorKind::Internal,
                    "WORKER_PANICKED",
                    "a thread of the similarity kernel panicked",
                )
            })?;
            parts.push(part);
        }
        Ok(parts)
    })
}

/// Puts the rows of all threads in order.
pub(super) fn join(count: usize, parts: Vec<Rows>) -> Csr {
    let mut indptr = vec![0_i64; count + 1];
    for &(row, length) in parts.iter().flat_map(|part| &part.lengths) {
        indptr[row as usize + 1] = i64::from(length);
    }
    for at in 0..count {
        indptr[at + 1] += indptr[at];
    }
    let entries = indptr[count] as usize;
    let mut indices = vec![0_u32; entries];
    let mut data = vec![0.0_f32; entries];
    for part in parts {
        let mut from = 0;
        for &(row, length) in &part.lengths {
            let to = from + length as usize;
            let start = indptr[row as usize] as usize;
            indices[start..start + to - from].copy_from_slice(&part.indices[from..to]);
            data[start..start + to - from].copy_from_slice(&part.data[from..to]);
            from = to;
        }
    }
    Csr {
        indptr,
        indices,
        data,
    }
}

/// One thread's memory.
struct Worker<'a> {
    problem: &'a Problem,
    /// Dot products of the present row, by rank; all 0 between rows. Padded to whole blocks.
    dots: Vec<f32>,
    /// Shared users, where the measure needs them; else empty.
    counts: Vec<f32>,
    /// Ranks whose dot product left 0.
    touched: Vec<u32>,
    block_best: Vec<f32>,
    ordered: Vec<f32>,
    sizes: Vec<f32>,
    top: TopN,
    top_n: usize,
}

impl<'a> Worker<'a> {
    fn new(problem: &'a Problem, top_n: usize) -> Self {
        let padded = problem.by_rank.rows().next_multiple_of(BLOCK);
        let mut sizes = problem.sizes.clone();
        // Ranks that do not exist have dot product 0; a size of 1 keeps their similarity 0 too.
        sizes.resize(padded, 1.0);
        Self {
            problem,
            dots: vec![0.0; padded],
            counts: vec![0.0; if problem.needs_count { padded } else { 0 }],
            touched: Vec::new(),
            block_best: vec![0.0; padded / BLOCK],
            ordered: Vec::with_capacity(padded / BLOCK),
            sizes,
            top: TopN::new(top_n),
            top_n,
        }
    }

    fn run(&mut self, ranks: std::ops::Range<usize>, found: &mut Rows) {
        for rank in ranks {
            self.find(rank);
            let before = found.indices.len();
            self.top.drain(|index, similarity| {
                found.indices.push(index);
                found.data.push(similarity);
            });
            let length = (found.indices.len() - before) as u32;
            found.lengths.push((self.problem.original[rank], length));
        }
    }

    fn find(&mut self, rank: usize) {
        let problem = self.problem;
        let (rows, _) = problem.by_rank.row(rank);
        let adds: usize = rows.iter().map(|&row| problem.row(row).len()).sum();
        if problem.needs_count || adds < self.dots.len() / SCAN_SHARE {
            self.add_up_noting(rank);
            self.read_touched(rank);
        } else {
            self.add_up(rank);
            self.dots[rank] = 0.0;
            self.read_all(rank);
        }
    }

    fn add_up(&mut self, rank: usize) {
        let problem = self.problem;
        let (rows, weights) = problem.by_rank.row(rank);
        let dots = self.dots.as_mut_slice();
        for (at, (&row, &weight)) in rows.iter().zip(weights).enumerate() {
            if let Some(&later) = rows.get(at + ROWS_AHEAD) {
                prefetch(problem.row(later));
            }
            for &Cell { rank: other, value } in problem.row(row) {
                dots[other as usize] += weight * value;
            }
        }
    }

    fn add_up_noting(&mut self, rank: usize) {
        let problem = self.problem;
        let (rows, weights) = problem.by_rank.row(rank);
        for (&row, &weight) in rows.iter().zip(weights) {
            for &Cell { rank: other, value } in problem.row(row) {
                let dot = &mut self.dots[other as usize];
                if *dot == 0.0 {
                    self.touched.push(other);
                }
                *dot += weight * value;
                if let Some(count) = self.counts.get_mut(other as usize) {
                    *count += 1.0;
                }
            }
        }
    }

    fn read_touched(&mut self, rank: usize) {
        let problem = self.problem;
        let size = self.sizes[rank];
        for &other in &self.touched {
            let at = other as usize;
            let dot = std::mem::take(&mut self.dots[at]);
            let count = self.counts.get_mut(at).map_or(0.0, std::mem::take);
            // A dot product that came back to 0 on its way is noted twice; the second time it is 0 here.
            if at != rank && dot != 0.0 {
                let similarity = problem.finish.similarity(dot, count, size, self.sizes[at]);
                self.top.offer(similarity, problem.original[at]);
            }
        }
        self.touched.clear();
    }

    fn read_all(&mut self, rank: usize) {
        let size = self.sizes[rank];
        let finish = self.problem.finish;
        finish_blocks(
            finish,
            size,
            &mut self.dots,
            &self.sizes,
            &mut self.block_best,
        );
        self.offer_blocks();
        self.dots.fill(0.0);
    }

    fn offer_blocks(&mut self) {
        let floor = self.floor();
        for (at, &best) in self.block_best.iter().enumerate() {
            if best < floor || best <= 0.0 {
                continue;
            }
            let start = at * BLOCK;
            for (lane, &similarity) in self.dots[start..start + BLOCK].iter().enumerate() {
                if similarity >= floor && similarity > 0.0 {
                    let index = self.problem.original[start + lane];
                    self.top.offer_key(pack(similarity, index));
                }
            }
        }
    }

    /// A similarity that at least `top_n` pairs of this row reach, or 0.
    fn floor(&mut self) -> f32 {
        if self.block_best.len() <= self.top_n {
            return 0.0;
        }
        self.ordered.clear();
        self.ordered.extend_from_slice(&self.block_best);
        let (_, floor, _) = self
            .ordered
            .select_nth_unstable_by(self.top_n - 1, |a, b| b.total_cmp(a));
        *floor
    }
}
