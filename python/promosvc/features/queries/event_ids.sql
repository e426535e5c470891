-- By what imported events of a span of time are known when they are recorded once more: the first 16 bytes of the
-- SHA-256 of source, event name and id, as two numbers, big-endian.

with event_log as (
    select source, event_name, event_id
    from events
    where event_at >= $since and event_at < $as_of and log_position is null
),

digests as (
    select sha256(source || chr(31) || event_name || chr(31) || event_id) as digest
    from event_log
),

final as (
    select distinct
        cast('0x' || substr(digest, 1, 16) as ubigint) as high,
        cast('0x' || substr(digest, 17, 16) as ubigint) as low
    from digests
    order by high, low
)

select * from final
