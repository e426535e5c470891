-- view: item_response
-- entity: item
-- ttl_days: 30
-- about: What becomes of an item that is looked at, over 90 days, and how it is rated.
-- feature: views_90d number = view_item events
-- feature: viewers_90d number = different users who viewed it
-- feature: carts_90d number = users who put it into the cart
-- feature: buyers_90d number = users who bought it
-- feature: viewer_cart_share_90d number = share of viewers who put it into the cart
-- feature: viewer_buy_share_90d number = share of viewers who bought it
-- feature: cart_buy_share_90d number = share of users with it in the cart who bought it
-- feature: ratings number = ratings of any age
-- feature: rating_mean number = their mean

with event_log as (
    select user_id, item_id, event_name, event_at, rating
    from events
    where event_at < $as_of and item_id is not null
),

steps as (
    select
        item_id,
        user_id,
        count(case when event_name = 'view_item' then 1 end) as views,
        max(case when event_name = 'view_item' then 1 else 0 end) as is_viewed,
        max(case when event_name = 'add_to_cart' then 1 else 0 end) as is_in_cart,
        max(case when event_name = 'purchase' then 1 else 0 end) as is_bought
    from event_log
    where event_at >= $as_of - interval 90 day
    group by item_id, user_id
),

funnel as (
    select
        item_id,
        sum(views) as views,
        sum(is_viewed) as viewers,
        sum(is_in_cart) as carts,
        sum(is_bought) as buyers,
        sum(is_viewed * is_in_cart) as viewed_in_cart,
        sum(is_viewed * is_bought) as viewed_bought,
        sum(is_in_cart * is_bought) as cart_bought
    from steps
    group by item_id
),

ratings as (
    select
        item_id,
        count(rating) as ratings,
        -- Decimals add up to the same sum in any order.
        cast(sum(cast(rating as decimal(28, 6))) as double) / count(rating) as rating_mean
    from event_log
    where rating is not null
    group by item_id
),

known_items as (
    select item_id from funnel
    union
    select item_id from ratings
),

final as (
    select
        known_items.item_id as entity_id,
        $as_of - interval 1 microsecond as event_at,
        coalesce(funnel.views, 0) as views_90d,
        coalesce(funnel.viewers, 0) as viewers_90d,
        coalesce(funnel.carts, 0) as carts_90d,
        coalesce(funnel.buyers, 0) as buyers_90d,
        funnel.viewed_in_cart / nullif(funnel.viewers, 0) as viewer_cart_share_90d,
        funnel.viewed_bought / nullif(funnel.viewers, 0) as viewer_buy_share_90d,
        funnel.cart_bought / nullif(funnel.carts, 0) as cart_buy_share_90d,
        coalesce(ratings.ratings, 0) as ratings,
        ratings.rating_mean
    from known_items
    left join funnel on known_items.item_id = funnel.item_id
    left join ratings on known_items.item_id = ratings.item_id
)

select * from final
