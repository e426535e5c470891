-- Which events there are, how many of them name an item, and the time of the newest one.

with event_log as (
    select event_name, item_id, user_id, rating, event_at
    from events
    where event_at < $as_of
),

final as (
    select
        event_name,
        count(*) as events,
        count(item_id) as item_events,
        count(distinct user_id) as users,
        count(rating) as ratings,
        min(rating) as rating_min,
        max(rating) as rating_max,
        epoch_us(min(event_at)) as first_at_us,
        epoch_us(max(event_at)) as last_at_us
    from event_log
    group by event_name
    order by event_name
)

select * from final
