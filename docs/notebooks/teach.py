# %% [markdown]
# # Teach it your own expression and measure it
#
# Teach a class that the model does not have, and measure on examples that it was not taught what that gains and what it
# costs. Nothing is trained: the next prediction uses the taught faces.
#
# The new class is "whistling". To need no pictures of people, it is made from the one public-domain portrait that ships
# with Moodspace: the mouth is painted over, and each example is moved, turned and lit in another way. One person in one
# pose is the easiest case there is. With your own pictures use several people, and expect lower figures.

# %%
import cv2
import numpy as np

import moodspace as ms
from moodspace.realtime.demo import picture_path

model = ms.load()
portrait = ms.read(picture_path())
face = model.crops(portrait, channels="rgb")[0]
print(face.shape, face.dtype, "classes:", *model.classes_)

# %% [markdown]
# ## Make examples

# %%
random = np.random.default_rng(0)


def whistle(crop):
    """Paint skin over the mouth and a small round one onto it."""
    painted = crop.copy()
    skin = int(np.median(crop[26:30, 12:18]))
    cv2.ellipse(painted, (24, 38), (11, 6), 0, 0, 360, skin, -1)
    around = cv2.ellipse(np.zeros_like(crop), (24, 38), (13, 8), 0, 0, 360, 255, -1)
    painted = np.where(around > 0, cv2.GaussianBlur(painted, (0, 0), 1.2), painted)
    cv2.circle(painted, (24, 39), 4, skin * 2 // 3, -1)
    return cv2.circle(painted, (24, 39), 2, 30, -1)


def wink(crop):
    """Close the eye on the left: skin with a dark line."""
    closed = crop.copy()
    skin = int(np.median(crop[22:26, 10:18]))
    cv2.ellipse(closed, (15, 18), (6, 4), 0, 0, 360, skin, -1)
    return cv2.line(closed, (10, 19), (20, 19), skin // 2, 1)


def vary(crop):
    """Move, turn, scale and light a crop at random, and add noise."""
    view = cv2.getRotationMatrix2D((23.5, 23.5), random.uniform(-8, 8), random.uniform(0.95, 1.08))
    view[:, 2] += random.uniform(-1.5, 1.5, 2)
    turned = cv2.warpAffine(crop, view, (48, 48), borderMode=cv2.BORDER_REPLICATE)
    lit = random.uniform(0.8, 1.2) * turned + random.uniform(-20, 20) + random.normal(0, 4, turned.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


whistling = np.stack([vary(whistle(face)) for _ in range(30)])
others = np.stack([vary(face) for _ in range(30)])
taught, held_out = whistling[:10], whistling[10:]

# %% [markdown]
# ## Before

# %%
for name, crops in (("whistling", held_out), ("others", others)):
    labels, counts = np.unique(model.predict(crops), return_counts=True)
    print(name, "read as", dict(zip(labels.tolist(), counts.tolist(), strict=True)))

# %% [markdown]
# ## Teach and measure
#
# Recall is the share of the held-out whistling faces that are found. False alarms are other faces that are called
# whistling. Measure both: a class that claims everything has perfect recall.

# %%
for count in (1, 3, 10):
    ids = model.teach(taught[:count], "whistling")
    recall = np.mean(model.predict(held_out) == "whistling")
    alarms = np.mean(model.predict(others) == "whistling")
    print(f"{count:>2} taught: recall {recall:.2f}, false alarms {alarms:.2f}")
    model.forget(ids=ids)

# %% [markdown]
# ## When the difference is small
#
# The network was trained to tell seven expressions apart, and a closed eye matters little to them: winking and other
# faces of this person lie close together, so that the new class claims both. Counter-examples help: teach also some
# faces that do not wink, as what they are.

# %%
winking = np.stack([vary(wink(face)) for _ in range(30)])
for counter_examples in (0, 10):
    ids = model.teach(winking[:10], "winking")
    if counter_examples:
        ids += model.teach(others[:counter_examples], "happy")
    recall = np.mean(model.predict(winking[10:]) == "winking")
    alarms = np.mean(model.predict(others[10:]) == "winking")
    print(f"{counter_examples:>2} counter-examples: recall {recall:.2f}, false alarms {alarms:.2f}")
    model.forget(ids=ids)

# %% [markdown]
# ## Look at one answer, and take it all back

# %%
model.teach(taught, "whistling")
probabilities = dict(zip(model.classes_.tolist(), model.predict_proba(held_out[:1])[0].tolist(), strict=True))
print({name: round(share, 3) for name, share in probabilities.items()})
print("taught:", model.gallery.labels)
model.forget("whistling")
print("left:", model.gallery.labels)
model.close()

# %% [markdown]
# A model made by `ms.load()` forgets what it was taught when it is closed. `ms.load(gallery="my-faces")` keeps it in a
# folder, which the command line uses with `--gallery my-faces`.
