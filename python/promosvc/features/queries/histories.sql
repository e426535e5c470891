-- Each user's past: one row for each (user, item, event name), the newest first.

with event_log as (
    select user_id, item_id, event_name, event_at, rating
    from events
    where event_at < $as_of and item_id is not null
),

user_rows as (
    select user_id, row_number() over (order by user_id) - 1 as user_row
    from known_users
),

item_rows as (
    select item_id, row_number() over (order by item_id) - 1 as item_row
    from known_items
),

entries as (
    select
        user_rows.user_row,
        item_rows.item_row,
        event_codes.event_code,
        epoch_us(max(event_log.event_at)) as last_at_us,
        count(*) as event_count,
        -- Decimals add up to the same sum in any order.
        cast(sum(cast(event_log.rating as decimal(28, 6))) as double) / count(event_log.rating) as rating_mean
    from event_log
    inner join event_codes on event_log.event_name = event_codes.event_name
    inner join user_rows on event_log.user_id = user_rows.user_id
    inner join item_rows on event_log.item_id = item_rows.item_id
    group by user_rows.user_row, item_rows.item_row, event_codes.event_code
),

final as (
    select *
    from entries
    order by user_row, last_at_us desc, item_row, event_code
)

select * from final
