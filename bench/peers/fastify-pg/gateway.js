// The gateway a careful team would write first, for Holdfast to be measured against: Fastify,
// @fastify/http-proxy and pg, two workers, everything cached that may be.
//
// For a guarded call it does what Holdfast does: knows the caller by a probe with the very token,
// knows the mailbox by Graph's own names, decides, commits the intent before forwarding and the
// outcome before answering. It has no Merkle tree, no leases, no spool, no search columns.
//
//   UPSTREAM=http://127.0.0.1:9000 DATABASE_URL=postgresql://… node gateway.js
//
// Prints one line, "listening PORT", once every worker serves.
import cluster from 'node:cluster'
import { createHash, randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import proxy from '@fastify/http-proxy'
import pg from 'pg'

const WORKERS = 2
const UPSTREAM_CONNECTIONS = 64 // A worker.
const DATABASE_CONNECTIONS = 32 // A worker: a whole commit each, so one for each call in flight.
const GUARDED = /\/(permanentDelete|recall)(\(\))?(\?|$)/i
const MAILBOX = /^\/[^/]+\/users\/([^/]+)\/([^/]+)\/([^/]+)\//
const TABLE = `CREATE TABLE IF NOT EXISTS records (
  index bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operation_id uuid NOT NULL, kind text NOT NULL, entry json NOT NULL)`
const APPEND = {
  name: 'append',
  text: 'INSERT INTO records (operation_id, kind, entry) VALUES ($1, $2, $3) RETURNING index'
}

const RULES_SHA256 = createHash('sha256').update('bench').digest('hex')
const { UPSTREAM, DATABASE_URL } = process.env
const callers = new Map() // Token -> verified caller.
const mailboxes = new Map() // Mailbox key -> its names.

async function ask (path, token) {
  const answer = await fetch(UPSTREAM + path, { headers: { authorization: `Bearer ${token}` } })
  return answer.ok ? answer.json() : null
}

async function identify (request) {
  const token = /^bearer +([^ ]+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) return null
  const known = callers.get(token)
  if (known !== undefined && known.expires > Date.now()) return known
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
  const me = await ask('/v1.0/me?$select=id', token)
  if (me?.id !== claims.oid) return null
  const caller = {
    token,
    expires: claims.exp * 1000,
    actor: {
      kind: 'user',
      verification: 'probe',
      tenant: claims.tid,
      user: claims.oid,
      app: claims.appid,
      name: claims.upn,
      token_id: claims.uti,
      token_sha256: createHash('sha256').update(token).digest('hex')
    }
  }
  callers.set(token, caller)
  return caller
}

async function namesOf (key, token) {
  const known = mailboxes.get(key)
  if (known !== undefined && known.until > Date.now()) return known.names
  const user = await ask(
    `/v1.0/users/${encodeURIComponent(key)}?$select=id,userPrincipalName,mail,proxyAddresses`, token)
  if (user === null) return null
  const names = [user.id, user.userPrincipalName, user.mail,
    ...user.proxyAddresses.map((address) => address.replace(/^smtp:/i, ''))]
  const unique = [...new Set(names.filter(Boolean).map((name) => name.toLowerCase()))]
  mailboxes.set(key, { names: unique, until: Date.now() + 600_000 })
  return unique
}

// One rule that allows everything; the rest is what a record needs to say of a decision.
function decide (action, names, caller, sourceIp) {
  return {
    effect: names === null ? 'deny' : 'allow',
    rules: ['bench'],
    matched: [{ id: 'bench', effect: 'allow' }],
    default: false,
    rules_sha256: RULES_SHA256,
    rules_revision: 'bench',
    facts: {
      actor_kind: 'user',
      groups: null,
      roles: null,
      mailbox: names,
      own_mailbox: names?.includes(caller.actor.user) ?? null,
      folder: null,
      source_ip: sourceIp,
      at: new Date().toISOString()
    }
  }
}

function serve () {
  const app = Fastify({ logger: false })
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: DATABASE_CONNECTIONS })

  function append (kind, operationId, content) {
    const entry = JSON.stringify({
      v: 1,
      id: randomUUID(),
      kind,
      time: new Date().toISOString(),
      writer: process.pid,
      operation_id: operationId,
      ...content
    })
    return pool.query({ ...APPEND, values: [operationId, kind, entry] })
  }

  async function recordIntent (request, reply) {
    if (!GUARDED.test(request.url)) return
    const caller = await identify(request)
    if (caller === null) {
      return reply.code(401).send({ error: { code: 'InvalidAuthenticationToken', message: 'no' } })
    }
    const [, key, , item] = MAILBOX.exec(request.url)
    const action = request.url.slice(request.url.lastIndexOf('/') + 1)
    const names = await namesOf(decodeURIComponent(key), caller.token)
    const decision = decide(action, names, caller, request.ip)
    if (decision.effect !== 'allow') {
      return reply.code(403).send({ error: { code: 'Denied', message: 'no' } })
    }
    const operationId = randomUUID()
    request.guarded = {
      operation_id: operationId,
      begun: process.hrtime.bigint(),
      content: {
        request: {
          method: request.method,
          target: request.url,
          request_id: randomUUID(),
          client_request_id: request.headers['client-request-id'] ?? operationId,
          source_ip: request.ip
        },
        operation: {
          action,
          path: request.url.toLowerCase(),
          resource: 'message',
          mailbox: { kind: 'user', key, names },
          item,
          version: 'v1.0'
        },
        actor: caller.actor
      }
    }
    await append('intent', operationId, { ...request.guarded.content, decision })
  }

  function recordOutcome (request, reply, stream) {
    const guarded = request.guarded
    if (guarded === undefined) return reply.send(stream)
    const outcome = {
      result: reply.statusCode < 300 ? 'executed' : 'refused',
      status: reply.statusCode,
      graph_request_id: reply.getHeader('request-id') ?? null,
      duration_us: Number((process.hrtime.bigint() - guarded.begun) / 1000n)
    }
    append('outcome', guarded.operation_id, { ...guarded.content, outcome }).then(
      () => reply.send(stream), (problem) => reply.send(problem))
  }

  app.decorateRequest('guarded', undefined)
  app.register(proxy, {
    upstream: UPSTREAM,
    undici: { connections: UPSTREAM_CONNECTIONS, pipelining: 1 },
    disableRequestLogging: true,
    preHandler: recordIntent,
    replyOptions: { onResponse: recordOutcome }
  })
  return app.listen({ host: '127.0.0.1', port: 0 })
}

async function supervise () {
  const setup = new pg.Client({ connectionString: DATABASE_URL })
  await setup.connect()
  await setup.query(TABLE)
  await setup.end()
  let waiting = WORKERS
  cluster.on('listening', (worker, address) => {
    if (--waiting === 0) console.log(`listening ${address.port}`)
  })
  cluster.on('exit', () => process.exit(1))
  for (let i = 0; i < WORKERS; ++i) cluster.fork()
}

await (cluster.isPrimary ? supervise() : serve())
