"""Pages whose words are kept off walls and lists, and what visitors report."""

from django.db import migrations, models

CHOICES = [
    ("people", "It shows or names a real person who would not want that"),
    ("children", "It shows a child in a sexual way"),
    ("violence", "It is hateful, or cruel"),
    ("explicit", "It is explicit"),
    ("other", "Something else"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0004_everywhere"),
    ]

    operations = [
        migrations.AddField(
            model_name="page",
            name="listed",
            field=models.BooleanField(default=True),
        ),
        migrations.CreateModel(
            name="Report",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("address", models.TextField()),
                ("edition", models.CharField(max_length=40)),
                ("mark", models.CharField(blank=True, max_length=26)),
                ("reason", models.CharField(max_length=20, choices=CHOICES)),
                ("note", models.TextField(blank=True)),
                ("times", models.PositiveIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("open", models.BooleanField(default=True)),
            ],
            options={
                "indexes": [models.Index(fields=["-open", "-last_at"], name="report_open")],
            },
        ),
    ]
