-- Users known by the time: with an event before it, or declared and without any event at all.

with known_users as (
    select user_id
    from users
    union
    select user_id
    from events
),

first_events as (
    select user_id, min(event_at) as first_at
    from events
    group by user_id
),

final as (
    select known_users.user_id
    from known_users
    left join first_events on known_users.user_id = first_events.user_id
    where first_events.first_at is null or first_events.first_at < $as_of
    order by known_users.user_id
)

select * from final
