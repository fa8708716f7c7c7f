// The reference: it reads /openapi.json and shows it. What comes from there or from a service becomes text, never markup.
'use strict';

const $ = (id) => document.getElementById(id);
let doc;

// el makes an element: attributes by name, functions as listeners, children as nodes or text.
function el(name, attrs = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attrs)) {
    if (typeof v === 'function') e.addEventListener(k, v);
    else if (v !== undefined && v !== false) e.setAttribute(k, v === true ? '' : v);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return e;
}

function resolve(o) {
  for (let i = 0; o && o.$ref && i < 20; i++) {
    const target = o.$ref.slice(2).split('/').reduce((at, p) => at && at[p.replaceAll('~1', '/').replaceAll('~0', '~')], doc);
    o = { ...target, ...Object.fromEntries(Object.entries(o).filter(([k]) => k !== '$ref')) };
  }
  return o || {};
}

const short = (ref) => ref.slice(ref.lastIndexOf('/') + 1).replace(/^.*\.(?=[A-Z])/, '');

function typeOf(s) {
  if (s.$ref) return short(s.$ref);
  if (s.type === 'array') return typeOf(s.items || {}) + '[]';
  const t = Array.isArray(s.type) ? s.type.join(' or ') : s.type || 'any';
  return s.format ? `${t}, ${s.format}` : s.contentEncoding ? `${t}, ${s.contentEncoding}` : t;
}

// limits are the bounds of a schema, in words.
function limits(s) {
  const out = [], say = (k, f) => { if (s[k] !== undefined) out.push(f(s[k])); };
  for (const x of ['', 'x-']) {
    say(x + 'minimum', (v) => `≥ ${v}`); say(x + 'exclusiveMinimum', (v) => `> ${v}`);
    say(x + 'maximum', (v) => `≤ ${v}`); say(x + 'exclusiveMaximum', (v) => `< ${v}`);
  }
  say('minLength', (v) => `at least ${v} characters`);
  if (s['x-maximum'] === undefined) say('maxLength', (v) => `at most ${v} characters`);
  say('minItems', (v) => `at least ${v} items`); say('maxItems', (v) => `at most ${v} items`);
  say('maxProperties', (v) => `at most ${v} entries`); say('pattern', (v) => v);
  if (s.enum) out.push(s.enum.join(' · '));
  if (s.items) out.push(...limits(s.items));
  return out;
}

function row(name, schema, required, text, seen) {
  const s = resolve(schema), inner = s.type === 'array' ? resolve(s.items) : s, ref = schema.$ref || (schema.items && schema.items.$ref);
  const right = el('div', {}, el('span', { class: 'type' }, [typeOf(schema), ...limits(schema)].join('   ')));
  const says = text || schema.description || (ref ? '' : s.description);
  if (says) right.append(el('p', {}, says));
  if (inner.properties && Object.keys(inner.properties).length && !seen.includes(ref)) right.append(later('Fields', () => fields(inner, [...seen, ref])));
  return el('div', { class: 'row' },
    el('div', {}, name, required && el('span', { class: 'need' }, 'required'), s.deprecated && el('span', { class: 'need' }, 'deprecated')), right);
}

// later shows what it has when it is opened.
function later(title, make) {
  const d = el('details', {}, el('summary', {}, title));
  d.addEventListener('toggle', () => { if (d.open && d.children.length === 1) d.append(make()); });
  return d;
}

function fields(schema, seen = []) {
  const s = resolve(schema), need = s.required || [];
  if (!s.properties) return el('div', { class: 'rows' }, row('', schema, false, '', seen));
  return el('div', { class: 'rows' }, Object.entries(s.properties).map(([k, p]) => row(k, p, need.includes(k), '', seen)));
}

function block(title, text) {
  const copy = el('button', { type: 'button', click: () => navigator.clipboard.writeText(text).then(() => { copy.textContent = 'Copied'; setTimeout(() => { copy.textContent = 'Copy'; }, 1500); }) }, 'Copy');
  return el('div', {}, el('div', { class: 'bar' }, el('h3', {}, title), copy), el('pre', { tabindex: 0 }, text));
}

const part = (title, ...content) => el('div', {}, el('h3', {}, title), content);
const pretty = (v) => JSON.stringify(v, null, 2);
const quote = (s) => `'${s.replaceAll("'", `'\\''`)}'`;
const sample = (p) => { const s = resolve(p.schema); return s.enum ? s.enum[1] || s.enum[0] : s.format === 'uuid' ? '0190a7c2-5d1e-7b3a-8c4f-2e6d9b0a1c57' : `{${p.name}}`; };

function mediaOf(o) {
  const c = (o && o.content) || {}, k = Object.keys(c)[0];
  return k ? { type: k, ...c[k] } : undefined;
}

function curl(path, method, op) {
  const params = op.parameters || [];
  let url = location.origin + path;
  for (const p of params.filter((p) => p.in === 'path')) url = url.replace(`{${p.name}}`, sample(p));
  const query = params.filter((p) => p.in === 'query' && p.required).map((p) => `${p.name}=${sample(p)}`).join('&');
  const lines = [`curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}${quote(url + (query && '?' + query))}`];
  if (!op['x-public']) lines.push(`-H ${quote('X-Api-Key: ')}"$KEY"`);
  if (params.some((p) => p.name === 'Idempotency-Key')) lines.push(`-H "Idempotency-Key: $(uuidgen)"`);
  const body = mediaOf(op.requestBody), answer = mediaOf(resolve(op.responses[200]));
  if (answer && answer.type.includes('ndjson')) lines.push('-N');
  if (body && body.type === 'application/json') lines.push("-H 'Content-Type: application/json'", `-d ${quote(pretty(body.example ?? {}))}`);
  return lines.join(' \\\n  ');
}

function access(op) {
  if (op['x-public']) return 'public';
  return op['x-scopes'] ? op['x-scopes'].join(' + ') : 'signed in';
}

function facts(op) {
  const out = [], add = (t) => out.push(el('li', { class: 'tag' }, t));
  add(op['x-public'] ? 'anybody may call it' : op['x-scopes'] ? `needs ${op['x-scopes'].join(', ')}` : 'needs a token, a key or a certificate');
  add({ NO_SIDE_EFFECTS: 'reads only', IDEMPOTENT: 'may be sent again' }[op['x-idempotency']] || 'done once for each Idempotency-Key');
  if (op['x-timeout-seconds']) add(`${op['x-timeout-seconds']} s at most`);
  if (op['x-ratelimit']) add(`${op['x-ratelimit'].requests} in ${op['x-ratelimit'].seconds} s for each caller`);
  if (op['x-cache']) add(`fresh for ${op['x-cache'].maxAgeSeconds} s`);
  if (op.requestBody && doc['x-limits']) add(`body up to ${Math.round(doc['x-limits'].maxBodyBytes / 1024)} KiB`);
  if (op['x-pagination']) add('page by page');
  if (op.deprecated) add('deprecated');
  return el('ul', { class: 'facts' }, out);
}

function responses(op) {
  return el('div', { class: 'rows' }, Object.entries(op.responses).map(([status, r]) => {
    const a = resolve(r), m = mediaOf(a);
    return el('div', { class: 'row' }, el('div', { class: status[0] === '2' ? 'ok' : '' }, status), el('div', {},
      el('p', {}, a['x-reasons'] ? a['x-reasons'].join(' · ') : a.description), m && el('span', { class: 'type' }, `${m.type}   ${typeOf(m.schema || {})}`),
      m && later('Fields', () => fields(m.schema || {}))));
  }));
}

// attempt is the form that sends a request.
function attempt(path, method, op) {
  const inputs = {}, params = op.parameters || [], body = mediaOf(op.requestBody), out = el('div', { 'aria-live': 'polite' });
  const form = el('form', { class: 'try', submit: (ev) => { ev.preventDefault(); send(path, method, params, inputs, body, out); } });
  for (const p of params) {
    const s = resolve(p.schema);
    inputs[p.name] = s.enum ? el('select', {}, [el('option', { value: '' }, ''), ...s.enum.map((v) => el('option', {}, v))])
      : el('input', { required: !!p.required, placeholder: typeOf(p.schema), autocomplete: 'off' });
    if (p.name === 'Idempotency-Key' && crypto.randomUUID) inputs[p.name].value = crypto.randomUUID();
    form.append(el('label', {}, p.name, inputs[p.name]));
  }
  if (body) form.append(inputs[':body'] = el('textarea', { 'aria-label': 'Body', spellcheck: 'false' }, body.example === undefined ? '' : pretty(body.example)));
  form.append(el('div', {}, el('button', { class: 'go' }, 'Send')), out);
  return form;
}

async function send(path, method, params, inputs, body, out) {
  const headers = {}, query = new URLSearchParams();
  for (const p of params) {
    const v = inputs[p.name].value;
    if (p.in === 'path') path = path.replace(`{${p.name}}`, encodeURIComponent(v));
    else if (v && p.in === 'query') query.append(p.name, v);
    else if (v) headers[p.name] = v;
  }
  const key = $('key').value.trim();
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers['Content-Type'] = body.type === '*/*' ? 'application/octet-stream' : body.type;
  out.replaceChildren(el('p', { class: 'none' }, 'Sending …'));
  const stop = new AbortController(), began = performance.now();
  try {
    const r = await fetch(path + (query.size ? `?${query}` : ''), { method: method.toUpperCase(), headers, body: body && inputs[':body'].value, credentials: 'omit', signal: stop.signal });
    const pre = el('pre', { tabindex: 0 });
    out.replaceChildren(el('p', { class: r.ok ? 'ok' : 'bad' }, `${r.status} ${r.statusText} · ${Math.round(performance.now() - began)} ms · ${r.headers.get('X-Request-Id') || ''}`), pre);
    if ((r.headers.get('Content-Type') || '').includes('ndjson')) {
      out.append(el('button', { type: 'button', click: () => stop.abort() }, 'Stop'));
      for (const reader = r.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) return;
        pre.textContent = (pre.textContent + value).slice(-200000);
      }
    }
    const text = await r.text();
    try { pre.textContent = pretty(JSON.parse(text)); } catch { pre.textContent = text; }
  } catch (err) {
    if (err.name !== 'AbortError') out.replaceChildren(el('p', { class: 'bad' }, `No answer: ${err.message}`));
  }
}

function operation(path, method, op) {
  const body = mediaOf(op.requestBody), answer = mediaOf(resolve(op.responses[200]));
  const d = el('details', { class: 'op', id: op.operationId },
    el('summary', {}, el('span', { class: `verb ${method}` }, method.toUpperCase()),
      el('span', { class: 'path' }, path.split(/(\{[^}]+\})/).map((p) => (p[0] === '{' ? el('b', {}, p) : p))),
      el('span', { class: `tag${op['x-public'] ? '' : ' locked'}` }, access(op)), el('span', { class: 'says' }, op.summary)));
  d.addEventListener('toggle', () => {
    if (!d.open || d.children.length > 1) return;
    const params = op.parameters || [];
    d.append(el('div', { class: 'body' }, op.description && el('p', {}, op.description), facts(op),
      params.length && part('Parameters', el('div', { class: 'rows' }, params.map((p) => row(p.name, p.schema, p.required, [p.description, `In the ${p.in}.`].filter(Boolean).join(' '), [])))),
      body && part(`Body · ${body.type}`, fields(body.schema || {})),
      part('Answers', responses(op)),
      el('div', { class: 'two' }, block('curl', curl(path, method, op)), answer && answer.example !== undefined && block('Answer', pretty(answer.example))),
      later('Try it', () => attempt(path, method, op))));
  });
  d.dataset.text = [op.operationId, path, method, op.summary, op.description, ...(op['x-scopes'] || [])].join(' ').toLowerCase();
  return d;
}

function show() {
  const main = $('main'), nav = $('nav'), byTag = new Map((doc.tags || []).map((t) => [t.name, { text: t.description, ops: [] }]));
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const [method, op] of Object.entries(item)) byTag.get(op.tags[0]).ops.push([path, method, op]);
  }
  $('version').textContent = doc.info.version;
  main.replaceChildren(el('h1', {}, 'API reference'), el('p', { class: 'lead' }, doc.info.description, '\n\n',
    el('a', { href: '/openapi.json' }, 'OpenAPI'), ' · ', el('a', { href: '/asyncapi.json' }, 'AsyncAPI'), ' · tools for models at ', el('code', {}, '/mcp')));
  nav.replaceChildren();
  for (const [tag, { text, ops }] of byTag) {
    main.append(el('section', {}, el('h2', { id: `tag-${tag}` }, tag), text && el('p', {}, text.split('\n\n')[0]), ops.map(([p, m, op]) => operation(p, m, op))));
    nav.append(el('div', {}, el('h2', {}, tag), ops.map(([, , op]) => el('a', { href: `#${op.operationId}`, title: op.summary }, op.operationId.replace(/^[^_]*_/, '').replaceAll('_', ' ')))));
  }
  main.append(el('p', { id: 'nothing', class: 'none', hidden: true }, 'Nothing is called so.'));
  follow();
}

// follow opens what the address names.
function follow() {
  const id = decodeURIComponent(location.hash.slice(1)), target = id && $(id);
  for (const a of document.querySelectorAll('nav a')) a.classList.toggle('here', a.hash.slice(1) === id);
  if (target && target.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); target.querySelector('summary').focus({ preventScroll: true }); }
  $('nav').classList.remove('open');
  $('menu').setAttribute('aria-expanded', 'false');
}

function search() {
  const words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const d of document.querySelectorAll('details.op')) {
    const hit = words.every((w) => d.dataset.text.includes(w));
    d.hidden = !hit;
    found += hit;
    const link = document.querySelector(`nav a[href="#${CSS.escape(d.id)}"]`);
    if (link) link.hidden = !hit;
  }
  for (const s of document.querySelectorAll('main > section')) s.hidden = !s.querySelector('details.op:not([hidden])');
  for (const s of document.querySelectorAll('nav > div')) s.hidden = !s.querySelector('a:not([hidden])');
  $('nothing').hidden = found > 0;
}

$('search').addEventListener('input', search);
$('menu').addEventListener('click', () => $('menu').setAttribute('aria-expanded', String($('nav').classList.toggle('open'))));
addEventListener('hashchange', follow);
addEventListener('keydown', (ev) => {
  if (ev.key === '/' && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) { ev.preventDefault(); $('search').focus(); }
  if (ev.key === 'Escape' && document.activeElement === $('search')) { $('search').value = ''; search(); }
});
fetch('/openapi.json', { credentials: 'omit' }).then((r) => {
  if (!r.ok) throw new Error(`${r.status} ${r.statusText}`);
  return r.json();
}).then((d) => { doc = d; show(); }).catch((err) => $('main').replaceChildren(el('p', { class: 'bad' }, `/openapi.json can't be read: ${err.message}. Reload to try again.`)));
