// Stores small values in the browser. Without storage, as in some private windows, they are lost
// with the page.

export function remember(storage: () => Storage, key: string, value: string): void {
  try {
    storage().setItem(key, value);
  } catch {
    // No storage: the value is lost with the page.
  }
}

export function recall(storage: () => Storage, key: string): string | null {
  try {
    return storage().getItem(key);
  } catch {
    return null;
  }
}

export function forget(storage: () => Storage, key: string): void {
  try {
    storage().removeItem(key);
  } catch {
    // No storage, so there is nothing to remove.
  }
}

/**
 * kept is localStorage, tabbed is sessionStorage. Functions, because reading the property itself
 * may throw.
 */
export const kept = (): Storage => window.localStorage;
export const tabbed = (): Storage => window.sessionStorage;
