/** Keep taught faces in this browser, only if the visitor says so: in IndexedDB, one record per network. */

const DATABASE = "moodspace";
const STORE = "taught";
const TIMEOUT = 3000;

/** Where this site keeps its records: sites under other paths of the same host have their own. */
function place(fingerprint: string): string {
  return `${new URL(".", location.href).pathname} ${fingerprint}`;
}

/** Return the kept file of taught faces, null for none; throw an `Error` if this browser cannot keep any. */
export async function kept(fingerprint: string): Promise<ArrayBuffer | null> {
  const found = await ask("readonly", (store) => store.get(place(fingerprint)));
  return found instanceof ArrayBuffer ? found : null;
}

/** Keep a file of taught faces; throw an `Error` if this browser cannot. */
export async function keep(fingerprint: string, bytes: ArrayBuffer): Promise<void> {
  await ask("readwrite", (store) => store.put(bytes, place(fingerprint)));
}

export async function discard(fingerprint: string): Promise<void> {
  await ask("readwrite", (store) => store.delete(place(fingerprint)));
}

async function ask(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const database = await open();
  try {
    const transaction = database.transaction(STORE, mode);
    const request = act(transaction.objectStore(STORE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("not stored"));
    });
    return request.result;
  } finally {
    database.close();
  }
}

/** Open the database. Some private windows have none, refuse it, or never answer. */
function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const refuse = () => reject(new Error("this browser keeps no data here"));
    setTimeout(refuse, TIMEOUT);
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = refuse;
  });
}
