"""The colour behind a thumbnail, and what the wall and the look-up by pixels are read from."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0005_unlisted_and_reports"),
    ]

    operations = [
        migrations.AddField(
            model_name="page",
            name="colour",
            field=models.CharField(
                blank=True,
                default="",
                max_length=7,
                validators=[django.core.validators.RegexValidator("\\A#[0-9a-f]{6}\\Z")],
            ),
        ),
        migrations.AddIndex(
            model_name="page",
            index=models.Index(fields=["pixel_digest"], name="page_pixels"),
        ),
        migrations.AddIndex(
            model_name="page",
            index=models.Index(
                condition=models.Q(("flagged", False), ("hidden", False), ("listed", True)),
                fields=["edition", "-id", "kind"],
                name="page_wall",
            ),
        ),
    ]
