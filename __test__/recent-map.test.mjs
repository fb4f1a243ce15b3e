// The map with a limit, in the order of last use.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { RecentMap } = createRequire(import.meta.url)('../lib/internal/recent-map')

test('a new key beyond the limit removes the least recently used entry', () => {
  const map = new RecentMap(2)
  assert.equal(map.set('a', 1), undefined)
  assert.equal(map.set('b', 2), undefined)
  assert.equal(map.set('c', 3), 1)
  assert.deepEqual([...map.keys()], ['b', 'c'])
  assert.equal(map.size, 2)
})

test('setting a key is a use of it, getting it is none', () => {
  const map = new RecentMap(2)
  map.set('a', 1)
  map.set('b', 2)
  assert.equal(map.get('a'), 1)
  assert.equal(map.set('c', 3), 1)
  map.set('b', 4)
  assert.equal(map.set('d', 5), 3)
  assert.equal(map.get('b'), 4)
  assert.equal(map.get('c'), undefined)
})

test('a key that is set again removes nothing, whether it is the latest or not', () => {
  const map = new RecentMap(2)
  map.set('a', 1)
  map.set('b', 2)
  assert.equal(map.set('b', 3), undefined)
  assert.equal(map.set('a', 4), undefined)
  assert.deepEqual([...map.keys()], ['b', 'a'])
})

test('the latest key can be deleted and set again', () => {
  const map = new RecentMap(1)
  map.set('a', 1)
  assert.equal(map.delete('a'), true)
  assert.equal(map.delete('a'), false)
  assert.equal(map.set('a', 2), undefined)
  assert.equal(map.set('b', 3), 2)
  assert.deepEqual([...map.keys()], ['b'])
})

test('undefined is a key like others', () => {
  const map = new RecentMap(1)
  assert.equal(map.set(undefined, 1), undefined)
  assert.equal(map.get(undefined), 1)
  assert.equal(map.set('a', 2), 1)
})
