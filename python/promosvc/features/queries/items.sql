-- The catalogue known by the time: items with an event before it, or declared and without any event at all.
-- Where the catalogue tells no price, it is the list price of one unit in the newest sale.

with event_log as (
    select
        event_id,
        item_id,
        event_name,
        event_at,
        amount_minor + coalesce(discount_minor, 0) + coalesce(coupon_discount_minor, 0) as list_minor,
        quantity,
        currency
    from events
    where event_at < $as_of and item_id is not null
),

first_events as (
    select item_id, min(event_at) as first_at
    from events
    where item_id is not null
    group by item_id
),

sales as (
    select
        item_id,
        cast(round(list_minor / coalesce(quantity, 1)) as bigint) as unit_price_minor,
        currency,
        row_number() over (partition by item_id order by event_at desc, event_id) as place
    from event_log
    where event_name = 'purchase' and list_minor > 0 and currency is not null and coalesce(quantity, 1) > 0
),

newest_sales as (
    select item_id, unit_price_minor, currency
    from sales
    -- A unit for less than half a minor unit (fuel by the thousandth) has no price worth showing.
    where place = 1 and unit_price_minor > 0
),

final as (
    select
        items.item_id,
        items.kind,
        coalesce(items.category, '') as category,
        coalesce(items.title, '') as title,
        case
            when items.unit_price_minor is not null and items.currency is not null then items.unit_price_minor
            else newest_sales.unit_price_minor
        end as unit_price_minor,
        case
            when items.unit_price_minor is not null and items.currency is not null then items.currency
            else newest_sales.currency
        end as currency,
        items.stock,
        items.is_available
    from items
    left join first_events on items.item_id = first_events.item_id
    left join newest_sales on items.item_id = newest_sales.item_id
    where first_events.first_at is null or first_events.first_at < $as_of
    order by items.item_id
)

select * from final
