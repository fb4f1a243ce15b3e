/**
 * What the code of a sub-path must give for its typings to be true: every name, each value of the declared type. A
 * class whose constructor the typings declare private is compared by its static members and its instances: how the
 * package itself makes one is nobody else's business.
 */
export type Face<Declared> = {
  [Name in keyof Declared]: Declared[Name] extends abstract new (
    ...args: any
  ) => unknown
    ? Declared[Name]
    : 'prototype' extends keyof Declared[Name]
      ? Members<Declared[Name]>
      : Declared[Name]
}

/**
 * Details of an error depend on its code: the declared instances of an error class are a union no single class can be.
 */
type Members<Class> = Class extends { prototype: Error }
  ? Omit<Class, 'prototype' | keyof Function>
  : Pick<Class, keyof Class>

/** The same where each name is loaded by the first look at it. */
export type LazyFace<Declared> = { [Name in keyof Declared]: () => Face<Declared>[Name] }
