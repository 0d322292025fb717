// Small things remembered in the browser. Where it keeps nothing, as in some private windows, they are just forgotten.

export function remember(storage: () => Storage, key: string, value: string): void {
  try {
    storage().setItem(key, value);
  } catch {
    // Forgotten with the page.
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
    // There was nothing.
  }
}

/** kept outlives the browser; tabbed belongs to one tab and its reloads. Reading the property itself may throw. */
export const kept = (): Storage => window.localStorage;
export const tabbed = (): Storage => window.sessionStorage;
