-- Who chose what in a span of time: the events of the named kinds, each user and item once.

with event_log as (
    select user_id, item_id, event_name
    from events
    where event_at >= $since and event_at < $as_of and item_id is not null
),

final as (
    select distinct user_id, item_id
    from event_log
    where list_contains($event_names, event_name)
    order by user_id, item_id
)

select * from final
