-- view: item_price
-- entity: item
-- ttl_days: 180
-- about: What was paid for an item and how deep its discounts go. True from the newest sale on.
-- feature: unit_price_minor_newest number = paid for one unit in the newest sale, in minor units of the main currency
-- feature: list_price_minor_newest number = before discounts, in the newest sale
-- feature: unit_price_minor_median number = paid for one unit
-- feature: unit_price_minor_min number = paid for one unit
-- feature: unit_price_minor_max number = paid for one unit
-- feature: discount_depth_newest number = taken off the list price in the newest sale
-- feature: discount_depth_mean number = taken off the list price, over all sales
-- feature: discounted_line_share number = share of sales below the list price

with event_log as (
    select
        event_id,
        item_id,
        event_at,
        amount_minor,
        coalesce(discount_minor, 0) + coalesce(coupon_discount_minor, 0) as taken_off_minor,
        coalesce(quantity, 1) as quantity,
        coalesce(currency, '') as currency
    from events
    where event_at < $as_of and item_id is not null and event_name = 'purchase' and amount_minor is not null
),

main_currency as (
    select currency
    from event_log
    group by currency
    order by count(*) desc, currency
    limit 1
),

sales as (
    select
        event_log.item_id,
        event_log.event_at,
        event_log.amount_minor,
        event_log.taken_off_minor,
        event_log.amount_minor + event_log.taken_off_minor as list_minor,
        event_log.amount_minor / event_log.quantity as unit_price_minor,
        (event_log.amount_minor + event_log.taken_off_minor) / event_log.quantity as list_price_minor,
        row_number() over (
            partition by event_log.item_id
            order by event_log.event_at desc, event_log.event_id
        ) as place
    from event_log
    inner join main_currency on event_log.currency = main_currency.currency
    where event_log.quantity > 0
),

final as (
    select
        item_id as entity_id,
        max(event_at) as event_at,
        max(case when place = 1 then unit_price_minor end) as unit_price_minor_newest,
        max(case when place = 1 then list_price_minor end) as list_price_minor_newest,
        median(unit_price_minor) as unit_price_minor_median,
        min(unit_price_minor) as unit_price_minor_min,
        max(unit_price_minor) as unit_price_minor_max,
        max(case when place = 1 then taken_off_minor / nullif(list_minor, 0) end) as discount_depth_newest,
        sum(taken_off_minor) / nullif(sum(list_minor), 0) as discount_depth_mean,
        count(case when taken_off_minor > 0 then 1 end) / count(*) as discounted_line_share
    from sales
    group by item_id
)

select * from final
