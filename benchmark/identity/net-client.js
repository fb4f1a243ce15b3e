'use strict'
/**
 * The client a careful author would write by hand over node:net, tuned: no encoding set, chunks joined once, one
 * listener each, the same checks of the response as ours.
 */
const net = require('node:net')

const REQUEST = Buffer.from('{"runner":{}}')

class NetClient {
  constructor(path, timeout = 5000) {
    this.options = { path, allowHalfOpen: true }
    this.timeout = timeout
  }

  getIdentity() {
    return new Promise((resolve, reject) => {
      let first
      let rest
      const socket = net.connect(this.options)
      const timer = setTimeout(() => socket.destroy(new Error('timeout')), this.timeout)
      socket.on('data', (chunk) => {
        if (first === undefined) first = chunk
        else if (rest === undefined) rest = [first, chunk]
        else rest.push(chunk)
      })
      socket.on('end', () => {
        clearTimeout(timer)
        socket.destroy()
        try {
          resolve(parse(rest === undefined ? first : Buffer.concat(rest)))
        } catch (error) {
          reject(error)
        }
      })
      socket.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      socket.end(REQUEST)
    })
  }
}

const isU32 = (value) => Number.isInteger(value) && value >= 0 && value <= 0xffffffff
const isU64 = (value) => value === undefined || value === null || (Number.isInteger(value) && value >= 0)

function parse(bytes) {
  if (bytes === undefined) throw new Error('no answer')
  const answer = JSON.parse(bytes.latin1Slice === undefined ? bytes.toString() : bytes.utf8Slice(0, bytes.length))
  if (answer.error_code !== undefined) throw new Error(`${answer.error_code}: ${answer.message}`)
  if (answer.status !== 'ok') throw new Error('no status')
  for (const field of ['identity', 'idm_url', 'config_url', 'token']) {
    if (typeof answer[field] !== 'string') throw new Error(`no ${field}`)
  }
  const { identity, hostname, process, pid, uid, gid, instance_id: instanceId, timestamp, ...extra } = answer.runner
  if (typeof identity !== 'string' || typeof hostname !== 'string' || typeof process !== 'string')
    throw new Error('bad runner')
  if (!isU32(pid) || !isU32(uid) || !isU32(gid) || !isU64(instanceId) || !isU64(timestamp))
    throw new Error('bad runner')
  return {
    identity: answer.identity,
    idmUrl: answer.idm_url,
    configUrl: answer.config_url,
    token: answer.token,
    runner: { identity, hostname, process, pid, uid, gid, instanceId, timestamp, extra }
  }
}

module.exports = { NetClient }
