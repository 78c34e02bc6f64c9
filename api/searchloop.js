/* searchloop.js, Apache-2.0; docs/browser.md */
{
const d = document, { src, dataset } = d.currentScript;
const url = new URL('/v1/events' + (dataset.key ? '?key=' + dataset.key : ''), dataset.api || src);
let kept = {}, flying = 0;
try { localStorage['sl.'] = 0; kept = localStorage } catch {}

const id = () => [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(36)).join('');
const drop = ([name]) => delete kept[name];
const names = kind => Object.keys(kept).filter(n => n.startsWith(kind));
const list = kind => names(kind).map(n => {
  try {
    const v = JSON.parse(kept[n]);
    if (v.t > Date.now() - 2592e6) return [n, v]
  } catch {}
  drop([n])
}).filter(Boolean).sort((a, b) => a[1].t - b[1].t);
const read = name => list(name).find(p => p[0] == name)?.[1] || {};
const keep = (kind, name, v) => {
  list(kind).slice(0, -99).forEach(drop);
  try { kept[kind + name] = JSON.stringify({ ...v, t: Date.now() }) } catch {}
};

const body = some => JSON.stringify(some.map(p => p[1].e));
const flush = () => {
  const some = list('sl.e.').slice(0, 20);
  if (flying || !some[0]) return;
  flying = some.length;
  fetch(url, { method: 'POST', body: body(some), keepalive: true, credentials: 'omit' })
    .then(r => /2..|400|413/.test(r.status), () => 0).then(done => {
      flying = 0;
      if (done) some.forEach(drop), flush();
    })
};

const client = (v = read('sl.id').v || id()) => (keep('sl.id', '', { v }), v);
const act = (action_name, items, more) => {
  items = items.map(i => ({ ...read('sl.q.' + i.object_id).q, ...i }));
  const e = { event_id: id(), action_name, client_id: client(), timestamp: new Date(), items, ...more };
  keep('sl.e.', e.event_id, { e });
  flush()
};
const found = (name, item, query_id, at) => {
  if (query_id) keep('sl.q.', item.object_id, { q: { query_id, ordinal: +at || undefined } });
  act(name, [item])
};
const api = window.searchloop = {
  client,
  shown: (query_id, ids) =>
    act('impression', ids.map((object_id, i) => ({ object_id, query_id, ordinal: i + 1 }))),
  click: (object_id, query, at) => found('click', { object_id }, query, at),
  view: object_id => act('view', [{ object_id }]),
  cart: (item, query, at) => found('add_to_cart', item, query, at),
  purchase: (order_id, items) => {
    act('purchase', items, { order_id, event_id: 'order-' + order_id });
    items.forEach(i => drop(['sl.q.' + i.object_id]));
  },
  forget: () => names('sl.').forEach(n => drop([n]))
};

const clicked = e => {
  const [cart, product, query, at] = ['cart', 'product', 'query', 'position'].map(what =>
    e.target.closest(`[data-sl-${what}]`)?.getAttribute('data-sl-' + what));
  if (cart) api.cart({ object_id: cart }, query, at);
  else if (product && e.button < 2) api.click(product, query, at)
};
for (const on of ['click', 'auxclick']) d.addEventListener(on, clicked, true);
d.addEventListener('visibilitychange', () => {
  const some = list('sl.e.').slice(flying, flying + 50);
  if (d.hidden && some[0]) navigator.sendBeacon(url, body(some))
});
flush()
}
