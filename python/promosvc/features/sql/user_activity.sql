-- view: user_activity
-- entity: user
-- ttl_days: 7
-- about: How busy a user is: events, sessions, views, searches and carts over 7, 30 and 90 days.
-- feature: recency_days number = days since the newest event of the last 90 days
-- feature: events_7d number = events of any name
-- feature: events_30d number = events of any name
-- feature: events_90d number = events of any name
-- feature: sessions_30d number = sessions
-- feature: active_days_30d number = days (UTC) with an event
-- feature: views_7d number = view_item events
-- feature: views_30d number = view_item events
-- feature: viewed_items_30d number = different items viewed
-- feature: searches_7d number = search events
-- feature: searches_30d number = search events
-- feature: search_terms_30d number = different search terms, without regard to case
-- feature: carts_7d number = add_to_cart events
-- feature: carts_30d number = add_to_cart events
-- feature: cart_purchase_share_30d number = share of the items put into the cart that were also bought
-- feature: view_purchase_share_30d number = share of the items viewed that were also bought

with event_log as (
    select user_id, item_id, event_name, event_at, session_id, search_term
    from events
    where event_at < $as_of
),

past as (
    select
        *,
        event_at >= $as_of - interval 7 day as is_in_7d,
        event_at >= $as_of - interval 30 day as is_in_30d
    from event_log
    where event_at >= $as_of - interval 90 day
),

counts as (
    select
        user_id,
        max(event_at) as last_event_at,
        count(case when is_in_7d then 1 end) as events_7d,
        count(case when is_in_30d then 1 end) as events_30d,
        count(*) as events_90d,
        count(distinct case when is_in_30d then session_id end) as sessions_30d,
        count(distinct case when is_in_30d then cast(event_at as date) end) as active_days_30d,
        count(case when is_in_7d and event_name = 'view_item' then 1 end) as views_7d,
        count(case when is_in_30d and event_name = 'view_item' then 1 end) as views_30d,
        count(case when is_in_7d and event_name = 'search' then 1 end) as searches_7d,
        count(case when is_in_30d and event_name = 'search' then 1 end) as searches_30d,
        count(distinct case when is_in_30d and event_name = 'search' then lower(search_term) end) as search_terms_30d,
        count(case when is_in_7d and event_name = 'add_to_cart' then 1 end) as carts_7d,
        count(case when is_in_30d and event_name = 'add_to_cart' then 1 end) as carts_30d
    from past
    group by user_id
),

item_steps as (
    select
        user_id,
        item_id,
        max(case when event_name = 'view_item' then 1 else 0 end) as is_viewed,
        max(case when event_name = 'add_to_cart' then 1 else 0 end) as is_in_cart,
        max(case when event_name = 'purchase' then 1 else 0 end) as is_bought
    from past
    where is_in_30d and item_id is not null
    group by user_id, item_id
),

steps as (
    select
        user_id,
        sum(is_viewed) as viewed_items,
        sum(is_in_cart) as cart_items,
        sum(is_viewed * is_bought) as viewed_and_bought,
        sum(is_in_cart * is_bought) as cart_and_bought
    from item_steps
    group by user_id
),

final as (
    select
        counts.user_id as entity_id,
        $as_of - interval 1 microsecond as event_at,
        (epoch_us($as_of) - epoch_us(counts.last_event_at)) / 86400000000.0 as recency_days,
        counts.events_7d,
        counts.events_30d,
        counts.events_90d,
        counts.sessions_30d,
        counts.active_days_30d,
        counts.views_7d,
        counts.views_30d,
        coalesce(steps.viewed_items, 0) as viewed_items_30d,
        counts.searches_7d,
        counts.searches_30d,
        counts.search_terms_30d,
        counts.carts_7d,
        counts.carts_30d,
        steps.cart_and_bought / nullif(steps.cart_items, 0) as cart_purchase_share_30d,
        steps.viewed_and_bought / nullif(steps.viewed_items, 0) as view_purchase_share_30d
    from counts
    left join steps on counts.user_id = steps.user_id
)

select * from final
